"""Kafka away for longer than a transaction may last."""

from __future__ import annotations

import time
from typing import Any

import pytest

from feed.testing import until
from producers.stream import ProducerSettings, kafka_log
from producers.stream.kafka_log import KafkaLog
from schemas.errors import RetryableError
from tests.faults.producers.outage import reads, resident_mib
from tests.integration.producers.producer_bench import Bench, Writer

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_broker_that_is_away_longer_than_a_transaction_lasts(bench: Bench, kafka_broker: Any, how: str) -> None:
    """Reading pauses within its bound, nothing is lost or repeated, and it goes on by itself afterwards."""
    writer = Writer(bench.table, pause_s=0.0)
    worker = bench.worker("a", transaction_timeout_ms=4_000, commit_timeout_ms=3_000)
    with writer:
        bench.wait(lambda f: len(f.changes) >= 100)
        assert worker.pid is not None
        before = resident_mib(worker.pid)
        kafka_broker.pause() if how == "frozen" else kafka_broker.kill()
        time.sleep(8)
        counted = reads(worker)
        time.sleep(6)
        assert reads(worker) - counted <= 2, "what cannot be published was read on"
        bench.table.shards.roll()
        assert worker.pid is not None, "the worker ended"
        assert resident_mib(worker.pid) - before < 100
        kafka_broker.resume() if how == "frozen" else kafka_broker.restart()
        time.sleep(3)
    bench.judge(writer.ledger, within_s=120)
    assert worker.pid is not None


def test_a_slot_is_not_empty_because_nobody_answers(bench: Bench, kafka_broker: Any) -> None:
    """Asked for a slot's ends in vain, the client says nothing of an error: it is told apart, and tried again."""
    topic, entry = f"{bench.feed}.positions", (b"a", b"1")
    owner = KafkaLog(bench.kafka, bench.feed, ProducerSettings()).take(1)
    owner.begin()
    owner.publish(topic, *entry, [], 1_700_000_000_000, partition=1)
    owner.commit()
    reading = KafkaLog(bench.kafka, bench.feed, ProducerSettings())
    assert reading.read_back(1) == [entry]
    kafka_broker.pause()
    try:
        with pytest.raises(RetryableError):
            reading.read_back(1)
    finally:
        kafka_broker.resume()
    until(lambda: _answer(reading) == [entry], "the slot's entries after the broker is back")


def test_a_broker_that_goes_while_a_slot_is_read_is_no_hanging_transaction(
    bench: Bench, kafka_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ends are known, the records do not come: that nobody answers is told, and it is tried again."""
    monkeypatch.setattr(kafka_log, "READ_BACK_BOUND_S", 1.0)
    monkeypatch.setattr(kafka_log, "OFFSETS_BOUND_S", 1.0)
    reading = KafkaLog(bench.kafka, bench.feed, ProducerSettings())
    original = reading._read_to

    def read_to(*arguments: Any) -> Any:
        kafka_broker.pause()
        return original(*arguments)

    monkeypatch.setattr(reading, "_read_to", read_to)
    owner = reading.take(1)
    owner.begin()
    owner.save(b"a", b"1", 1_700_000_000_000)
    owner.commit()
    try:
        with pytest.raises(RetryableError) as caught:
            reading.read_back(1)
        assert "hangs" not in str(caught.value)
    finally:
        kafka_broker.resume()
    monkeypatch.setattr(reading, "_read_to", original)
    until(lambda: _answer(reading), "the slot's entries after the broker is back")


def _answer(reading: KafkaLog) -> list[tuple[bytes, bytes | None]] | None:
    """The slot's entries; None while the broker, just back, has still a retryable error to tell."""
    try:
        return reading.read_back(1)
    except RetryableError:
        return None
