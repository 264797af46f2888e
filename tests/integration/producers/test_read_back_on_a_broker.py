"""Why a slot cannot be read back, asked of a real broker: the true cause is told, and only a hanging one is blamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from connectors.kafka import KafkaClients, KafkaSettings
from feed.testing import KafkaBroker, create_topics, until
from producers.stream import ProducerSettings, kafka_log
from producers.stream.kafka_log import KafkaLog
from schemas.errors import FatalError, RetryableError

pytestmark = pytest.mark.integration

SLOT, AT_MS = 1, 1_700_000_000_000


class Feed:
    """A feed with two slots, one of which holds two records."""

    def __init__(self, broker: KafkaBroker, name: str) -> None:
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=broker.bootstrap), client_id="read-back")
        self.admin, self.positions = self.clients.admin(), f"{name}.positions"
        create_topics(broker.bootstrap, {self.positions: 2})
        self.log = KafkaLog(self.clients, name, ProducerSettings())
        owner = self.log.take(SLOT)
        owner.begin()
        for key in (b"a", b"b"):
            owner.save(key, b"1", AT_MS)
        owner.commit()

    def read(self) -> dict[bytes, bytes | None]:
        """What stands in the slot, the marks of its readers left out."""
        return {key: value for key, value in self.log.read_back(SLOT) if value is not None}


@pytest.fixture
def feed(kafka_broker: KafkaBroker, unique_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Reading its slots back gives up after two seconds without getting on."""
    monkeypatch.setattr(kafka_log, "READ_BACK_BOUND_S", 2.0)
    return Feed(kafka_broker, unique_name("back"))


def test_a_transaction_that_hangs_is_named(feed: Feed) -> None:
    """Somebody else's open transaction lies below the end: its offset is told; ended, the slot is read."""
    rogue = feed.clients.transactional_producer(f"{feed.positions}.rogue", transaction_timeout_ms=60_000)
    rogue.init_transactions(30)
    rogue.begin_transaction()
    rogue.produce(feed.positions, b"x", b"rogue", SLOT)
    assert rogue.flush(30) == 0
    with pytest.raises(FatalError, match="a transaction hangs between offset 3 and") as caught:
        feed.read()
    assert f"--topic {feed.positions} --partition {SLOT}" in caught.value.hint
    rogue.abort_transaction(30)
    until(lambda: feed.read() == {b"a": b"1", b"b": b"1"}, "the slot to be read")


def between(feed: Feed, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have it happen once the ends are known, and before the slot is read."""
    original, asked = feed.log._offset, []

    def offset(*arguments: Any) -> int:
        found = original(*arguments)
        asked.append(found)
        if len(asked) == 2:
            happens()
        return found

    monkeypatch.setattr(feed.log, "_offset", offset)


def test_a_beginning_that_moved_is_named(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are deleted between the question for the ends and the read: at once, and with no talk of transactions."""
    partition = TopicPartition(feed.positions, SLOT, 2)
    between(feed, monkeypatch, lambda: feed.admin.delete_records([partition])[partition].result(30))
    with pytest.raises(RetryableError, match="OFFSET") as caught:
        feed.read()
    assert "beginning moved" in caught.value.hint


def test_a_topic_that_is_gone_is_no_hanging_transaction(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody deletes the positions before a slot is read: it is tried again, and no transaction is blamed."""
    topic = feed.positions
    between(feed, monkeypatch, lambda: feed.admin.delete_topics([topic])[topic].result(30))
    with pytest.raises(RetryableError) as caught:
        feed.read()
    assert "hangs" not in str(caught.value)
