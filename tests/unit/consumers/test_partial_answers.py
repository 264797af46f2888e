"""A cluster that answers for some partitions and refuses others in the same answer, or does not answer at all."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from consumers.runtime import membership
from consumers.runtime.client import CommitCallback
from consumers.runtime.memory import MemoryBroker, MemoryClient
from feed.testing import until
from schemas.errors import FatalError
from tests.unit.consumers.consumer_contract import Recorder, Running, value_of
from tests.unit.consumers.test_runtime_on_memory import MemoryRig


class PartialClient(MemoryClient):
    """A member whose answers about partition 0 are errors while its broker says so."""

    def __init__(self, broker: PartialBroker, group: str, on_commit: CommitCallback) -> None:
        super().__init__(broker, group, on_commit)
        self.partial = broker

    def committed(self, partitions: list[TopicPartition], timeout: float) -> Any:
        return [self._judged(found, self.partial.unread) for found in super().committed(partitions, timeout)]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> Any:
        refused = self.partial.uncommitted
        if refused is None or asynchronous:
            return super().commit(offsets=offsets, asynchronous=asynchronous)
        super().commit(offsets=[offset for offset in offsets if offset.partition], asynchronous=False)
        return [self._judged(offset, refused) for offset in offsets]

    def _judged(self, found: TopicPartition, error: int | None) -> Any:
        if found.partition or error is None:
            return found
        self.partial.asked += 1
        return SimpleNamespace(topic=found.topic, partition=0, offset=-1001, error=KafkaError(error))


class PartialBroker(MemoryBroker):
    unread: int | None = None
    """Error code of partition 0 when committed offsets are asked for."""
    uncommitted: int | None = None
    """Error code of partition 0 when offsets are committed and waited for."""
    asked = 0

    def join(self, group: str, on_commit: CommitCallback) -> MemoryClient:
        return PartialClient(self, group, on_commit)


class PartialRig(MemoryRig):
    def __init__(self) -> None:
        self.partial = self.memory = PartialBroker(self.topic, 2)


@pytest.fixture
def rig() -> PartialRig:
    return PartialRig()


def test_an_offset_that_cannot_be_told_is_not_a_group_that_is_new(rig: PartialRig) -> None:
    """An error in place of one committed offset is asked again: the partition is neither rewound nor committed anew."""
    for n in range(4):
        rig.put("a", value_of("a", n))
    rig.commit(0, 3)
    rig.partial.unread = KafkaError.NOT_COORDINATOR
    sink = Recorder()
    with Running(rig, sink):
        until(lambda: rig.partial.asked >= 2, "asked again")
        assert rig.committed() == 3
        rig.partial.unread = None
        until(lambda: rig.committed() == 4, "a commit of the rest")
    assert sink.of("a") == [3]


def test_an_offset_that_may_not_be_told_stops(rig: PartialRig) -> None:
    """A refusal for good is said, and nothing is committed."""
    rig.commit(0, 3)
    rig.partial.unread = KafkaError.TOPIC_AUTHORIZATION_FAILED
    error = Running(rig, Recorder()).failed()
    assert isinstance(error, FatalError)
    assert rig.committed() == 3


def test_a_commit_refused_for_one_partition_is_not_counted_as_done(rig: PartialRig) -> None:
    """What a revoke could not commit is not taken for committed: the group was not set back when it is found lower."""
    rig.put("a", value_of("a", 0))
    rig.put("b", value_of("b", 1), partition=1)
    sink = Recorder()
    with Running(rig, sink, commit_interval_ms=60_000) as running:
        until(lambda: len(sink.seen) == 2, "both records")
        rig.partial.uncommitted = KafkaError.UNKNOWN_MEMBER_ID
        with rig.memory.lock:  # a member that does nothing takes every partition, and leaves
            ghosts = [MemoryClient(rig.memory, rig.group, lambda *_: None) for _ in range(2)]
            rig.memory.group(rig.group).members[:0] = ghosts
        until(
            lambda: running.metric("feed_consumer_rebalances_total", sink="recorder", kind="revoked") == 2, "a revoke"
        )
        assert (rig.committed(0), rig.committed(1)) == (0, 1)
        assert running.metric("feed_consumer_commits_total", sink="recorder", outcome="refused") == 1
        rig.partial.uncommitted = None
        with rig.memory.lock:
            for ghost in ghosts:
                rig.memory.remove(rig.group, ghost)
        until(lambda: sink.of("a") == [0, 0], "the record whose commit was refused, again")
        assert "rewind" not in running.health()


def test_a_thread_of_the_sink_that_fails_is_not_silent(rig: PartialRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the runtime itself in a thread stops the consumer, as one in the loop does."""
    rig.put("a", value_of("a", 0))
    running = Running(rig, Recorder(), in_flight=2)
    monkeypatch.setattr(running.consumer._flow, "_attempt", _fault)
    rig.put("b", value_of("b", 1))
    assert "a fault of ours" in str(running.failed())


def _fault(_task: object) -> None:
    raise RuntimeError("a fault of ours")


class FrozenClient(MemoryClient):
    """A member whose cluster is frozen as soon as it is told to be: it answers no commit, and no good-bye."""

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> Any:
        if not self._broker.frozen.is_set():  # type: ignore[attr-defined]  # it is a FrozenBroker
            return super().commit(offsets=offsets, asynchronous=asynchronous)
        assert asynchronous, "nobody may wait here without a bound"
        return None

    def close(self) -> None:
        if self._broker.frozen.is_set():  # type: ignore[attr-defined]  # as above
            assert self._broker.ended.wait(60)  # type: ignore[attr-defined]  # as above
        super().close()


class FrozenBroker(MemoryBroker):
    def __init__(self, topic: str, partitions: int) -> None:
        super().__init__(topic, partitions)
        self.frozen, self.ended = threading.Event(), threading.Event()

    def join(self, group: str, on_commit: CommitCallback) -> MemoryClient:
        return FrozenClient(self, group, on_commit)


def test_a_stop_does_not_wait_for_a_cluster_that_is_frozen(rig: PartialRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the last commit nor the good-bye holds a process beyond its bound; what was done comes again."""
    monkeypatch.setattr(membership, "LEAVE_BOUND_S", 0.2)
    rig.memory = frozen = FrozenBroker(rig.topic, 2)
    rig.put("a", value_of("a", 0))
    sink = Recorder()
    running = Running(rig, sink, commit_interval_ms=60_000)
    try:
        until(lambda: sink.seen, "the record")
        frozen.frozen.set()
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 0.4 + 5, "the bounds, and room for a busy machine"
        assert running.error is None
        assert rig.committed() == 0
    finally:
        frozen.ended.set()
