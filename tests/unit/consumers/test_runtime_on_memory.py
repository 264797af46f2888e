"""The runtime on a cluster in memory, and what only memory can be made to do."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from consumers.runtime import MemoryBroker, RuntimeSettings
from consumers.runtime.memory import MemoryRecord
from feed.testing import until
from schemas.errors import FatalError, RetryableError
from tests.unit.consumers.consumer_contract import (
    AWAY,
    Batches,
    ConsumerContract,
    Recorder,
    Running,
    value_of,
)


class MemoryRig:
    """See :class:`tests.unit.consumers.consumer_contract.Rig`."""

    topic = "orders"
    group = "orders.test"

    def __init__(self) -> None:
        self.memory = MemoryBroker(self.topic, 2)

    def broker(self, settings: RuntimeSettings) -> MemoryBroker:
        return self.memory

    def put(self, key: str, value: bytes | None, partition: int = 0) -> int:
        return self.memory.put(key.encode(), value, partition=partition, headers=[("kept", b"header")])

    def put_in_transaction(self, key: str, value: bytes, partition: int = 0) -> int:
        offset = self.put(key, value, partition)
        self.memory.put_marker(partition)
        return offset

    def committed(self, partition: int = 0) -> int | None:
        return self.memory.committed(self.group, partition)

    def commit(self, partition: int, offset: int) -> None:
        self.memory.set_committed(self.group, partition, offset)

    def trim(self, partition: int, low: int) -> None:
        self.memory.trim(partition, low)

    def dead_letters(self) -> list[MemoryRecord]:
        return self.memory.read(f"{self.group}.dead-letter")

    def end(self, partition: int = 0) -> int:
        return self.memory.log(partition).end


@pytest.fixture
def rig() -> MemoryRig:
    return MemoryRig()


class TestRuntimeOnMemory(ConsumerContract):
    """The contract, in milliseconds."""

    def test_lost_drops_without_a_commit(self, rig: MemoryRig) -> None:
        """What a lost partition held is dropped, not committed, and handled again when the partition comes back."""
        sink = Batches(size=100)
        for n in range(10):
            rig.put("a", value_of("a", n))
        with Running(rig, sink) as running:
            until(lambda: running.metric("feed_consumer_records_total", sink="batches", partition="0") == 10, "taken")
            rig.memory.lose(rig.group)
            until(lambda: len(sink.opened) == 4, "both partitions opened again")
            assert rig.committed() == 0
            assert sink.stored == []
        assert [offset for _, offset, _ in sink.stored] == list(range(10))

    def test_a_killed_member_repeats_only_what_was_not_committed(self, rig: MemoryRig) -> None:
        """After a kill the next member reads again from the last commit."""
        first, second = Recorder(), Recorder()
        for n in range(5):
            rig.put("a", value_of("a", n))
        one = Running(rig, first, commit_interval_ms=60_000)
        until(lambda: len(first.seen) == 5, "five records")
        rig.memory.kill(rig.group)
        with Running(rig, second):
            until(lambda: len(second.seen) == 5, "the same five again")
        one.stop()
        assert second.of("a") == [0, 1, 2, 3, 4]

    def test_bounds_pause_and_resume(self, rig: MemoryRig) -> None:
        """Past the bound on parked keys the partition pauses; the other one goes on; at half it is fetched again."""
        sink = Recorder(failing={f"k{n}": AWAY for n in range(6)})
        for n in range(6):
            rig.put(f"k{n}", value_of(f"k{n}", n))
        with Running(rig, sink, max_parked_keys=4, outage_after=1_000, fetch_records=1) as running:
            until(lambda: running.metric("feed_consumer_paused", sink="recorder", partition="0") == 1, "a pause")
            rig.put("other", value_of("other", 100), partition=1)
            until(lambda: sink.of("other") == [100], "the other partition")
            held = running.metric("feed_consumer_parked_keys", sink="recorder", partition="0")
            assert held <= 4
            sink.failing.clear()
            until(lambda: len(sink.seen) == 7, "everything")
            until(lambda: running.metric("feed_consumer_paused", sink="recorder", partition="0") == 0, "going on")

    def test_dead_letter_topic_away_parks_the_key(self, rig: MemoryRig) -> None:
        """While the dead letters cannot be written, the poison's key waits and others go on; then it is kept once."""
        rig.memory.refusing = RetryableError("no leader", hint="wait")
        rig.put("a", b"poison")
        rig.put("b", value_of("b", 1))
        sink = Recorder()
        with Running(rig, sink):
            until(lambda: sink.of("b") == [1], "the other key")
            assert rig.committed() in (None, 0)
            rig.memory.refusing = None
            until(lambda: rig.committed() == 2, "a commit of everything")
        assert len(rig.dead_letters()) == 1

    def test_retention_that_overtakes_a_running_consumer_is_a_gap(self, rig: MemoryRig) -> None:
        """Records that are deleted while the consumer is behind stop it: nothing is reset."""
        sink = Recorder()
        with Running(rig, sink, fetch_records=1) as running:
            until(lambda: rig.committed() == 0, "the start")
            with rig.memory.lock:
                for n in range(5):
                    rig.put("a", value_of("a", n))
                rig.memory.trim(0, 4)
            assert "gap on orders[0]" in str(running.failed())

    def test_a_fenced_client_is_fatal_and_a_passing_error_is_not(self, rig: MemoryRig) -> None:
        """A passing error of the client is counted and lived through; a fatal one stops the consumer."""
        sink = Recorder()
        with Running(rig, sink) as running:
            until(lambda: rig.committed() == 0, "the start")
            client = rig.memory.group(rig.group).members[0]
            client.events.append(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            until(
                lambda: running.metric("feed_consumer_kafka_errors_total", sink="recorder", error="_ALL_BROKERS_DOWN"),
                "the count",
            )
            rig.put("a", value_of("a", 0))
            until(lambda: sink.seen, "a record after it")
            client.events.append(KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", True))
            error = running.failed()
        assert isinstance(error, FatalError)

    def test_a_group_that_is_set_back_makes_health_red(self, rig: MemoryRig) -> None:
        """The group is reset while this member has lost its partitions: health says rewind once it has them again."""
        for n in range(4):
            rig.put("a", value_of("a", n))
        sink = Recorder()
        with Running(rig, sink) as running:
            until(lambda: rig.committed() == 4, "a commit of everything")
            until(lambda: running.metric("feed_consumer_committed_offset", sink="recorder", partition="0") == 4, "seen")
            assert running.health().startswith("200")
            with rig.memory.lock:
                rig.commit(0, 1)
                rig.memory.lose(rig.group)
            until(lambda: f"RED {rig.group}[0] rewind" in running.health(), "red health")
            until(lambda: sink.of("a") == [0, 1, 2, 3, 1, 2, 3], "the same again, from where the group was set")

    def test_a_clock_ahead_counts_as_no_time_at_all(self, rig: MemoryRig) -> None:
        """A write whose clock is an hour ahead of ours gives a reaction time of zero, not a negative one."""
        rig.put("a", value_of("a", 0, at_ms=4_000_000_000_000))
        sink = Recorder()
        with Running(rig, sink) as running:
            until(lambda: running.metric("feed_reaction_seconds_count", sink="recorder") == 1, "one observation")
            assert running.metric("feed_reaction_seconds_sum", sink="recorder") == 0

    def test_a_callback_that_fails_stops_the_loop_and_not_the_client(
        self, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error inside a callback never leaves it; the loop raises it, so no record is lost on the way."""
        sink = Batches(size=100)
        rig.put("a", value_of("a", 0))
        with Running(rig, sink) as running:
            until(lambda: running.metric("feed_consumer_records_total", sink="batches", partition="0") == 1, "taken")
            sink.failing = ValueError("a fault in flush")
            rig.memory.group(rig.group).members.insert(0, object())  # type: ignore[arg-type]  # forces a revoke
            assert "a fault in flush" in repr(running.failed())
        assert rig.committed() == 0
