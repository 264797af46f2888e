"""The runtime's contract on a real cluster: the same tests as in memory."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from connectors.kafka import KafkaClients, KafkaSettings, group_offsets
from consumers.runtime import KafkaBroker, RuntimeSettings
from feed.testing import create_topics, until
from schemas.errors import FatalError, RetryableError
from tests.unit.consumers.consumer_contract import FAST, WAIT_S, ConsumerContract, Recorder, Running, value_of

pytestmark = pytest.mark.integration


class KafkaRig:
    """See :class:`tests.unit.consumers.consumer_contract.Rig`."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.topic = name
        self.group = f"{name}.test"
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="test")
        create_topics(bootstrap, {name: 2, f"{self.group}.dead-letter": 1})
        self._producer = self.clients.producer()
        self._admin = self.clients.admin()  # kept: futures of a client that is gone never end

    def broker(self, settings: RuntimeSettings) -> KafkaBroker:
        return KafkaBroker(self.clients, settings)

    def put(self, key: str, value: bytes | None, partition: int = 0) -> int:
        offsets: list[int] = []
        self._producer.produce(
            self.topic,
            value,
            key.encode(),
            partition=partition,
            headers=[("kept", b"header")],
            on_delivery=lambda error, message: offsets.append(message.offset()),
        )
        assert self._producer.flush(WAIT_S) == 0
        return offsets[0]

    def put_in_transaction(self, key: str, value: bytes, partition: int = 0) -> int:
        producer = self.clients.transactional_producer(f"{self.topic}.test")
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        offsets: list[int] = []
        producer.produce(
            self.topic, value, key.encode(), partition=partition, on_delivery=lambda _, m: offsets.append(m.offset())
        )
        producer.commit_transaction(WAIT_S)
        return offsets[0]

    def committed(self, partition: int = 0) -> int | None:
        try:
            (found,) = group_offsets(self.clients, self.group, [TopicPartition(self.topic, partition)], bound_s=WAIT_S)
        except RetryableError:
            return None  # the coordinator is loading
        return None if found.offset < 0 else found.offset

    def commit(self, partition: int, offset: int) -> None:
        reader = self.clients.reader(**{"group.id": self.group})
        reader.commit(offsets=[TopicPartition(self.topic, partition, offset)], asynchronous=False)
        reader.close()

    def trim(self, partition: int, low: int) -> None:
        deleted = self._admin.delete_records([TopicPartition(self.topic, partition, low)])
        for answer in deleted.values():
            answer.result(WAIT_S)

    def dead_letters(self) -> list[Message]:
        return read_all(self.clients.reader(), f"{self.group}.dead-letter")

    def end(self, partition: int = 0) -> int:
        reader = self.clients.reader()
        span = reader.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=WAIT_S)
        reader.close()
        assert span is not None
        return span[1]


def read_all(reader: Consumer, topic: str) -> list[Message]:
    reader.assign([TopicPartition(topic, 0, 0)])
    found: list[Message] = []
    while True:
        message = reader.poll(WAIT_S)
        assert message is not None, f"{topic} did not answer"
        if message.error() is not None:
            reader.close()
            return found
        found.append(message)


@pytest.fixture
def rig(kafka_broker, unique_name: Callable[[str], str]) -> KafkaRig:
    return KafkaRig(kafka_broker.bootstrap, unique_name("orders"))


class TestRuntimeOnKafka(ConsumerContract):
    """The contract, on a real cluster."""


def test_static_membership_keeps_partitions_over_a_restart(rig: KafkaRig) -> None:
    """A static member that restarts within its session gets its partitions back: the other member sees no rebalance."""
    one, two = Recorder(name="one"), Recorder(name="two")
    with Running(rig, two, static_member_id="two") as other:
        until(lambda: rig.committed(1) is not None, "the first member at work")
        with Running(rig, one, static_member_id="one") as first:
            until(lambda: first.metric("feed_consumer_rebalances_total", sink="one", kind="assigned") == 1, "a share")
        before = other.metric("feed_consumer_rebalances_total", sink="two", kind="assigned")
        with Running(rig, Recorder(name="again"), static_member_id="one") as again:
            until(
                lambda: again.metric("feed_consumer_rebalances_total", sink="again", kind="assigned") == 1, "its share"
            )
        assert other.metric("feed_consumer_rebalances_total", sink="two", kind="assigned") == before


def test_the_broker_side_protocol(rig: KafkaRig) -> None:
    """The same loop under KIP-848: assigned, handled, committed."""
    for n in range(4):
        rig.put("a", value_of("a", n), partition=n % 2)
    sink = Recorder()
    with Running(rig, sink, protocol="consumer"):
        until(lambda: len(sink.seen) == 4, "four records")
        until(lambda: rig.committed() == rig.end() and rig.committed(1) == rig.end(1), "commits")


def test_a_rebalance_under_the_broker_side_protocol(rig: KafkaRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand-over between members is as clean under KIP-848."""
    monkeypatch.setitem(FAST, "protocol", "consumer")
    TestRuntimeOnKafka().test_a_rebalance_hands_over_without_loss(rig)


def test_a_dead_letter_that_does_not_fit_is_never_dropped(rig: KafkaRig) -> None:
    """A poison record larger than the dead-letter topic takes stops the consumer and names the setting to raise."""
    rig.group = f"{rig.topic}.narrow"
    bootstrap = rig.clients.settings.bootstrap_servers
    create_topics(bootstrap, {f"{rig.group}.dead-letter": 1}, settings={"max.message.bytes": "2000"})
    noise = random.Random(1).randbytes(10_000)  # bytes that do not compress
    rig.put("a", b"poison" + noise)
    error = Running(rig, Recorder()).failed()
    assert isinstance(error, FatalError)
    assert "is never dropped" in str(error)
    assert "max.message.bytes" in error.hint
    assert rig.committed() in (None, 0)
