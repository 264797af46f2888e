"""The marker of a complete snapshot on its way through a consumer."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime import MemoryBroker, time_of
from consumers.runtime.lanes import Lanes, Task
from consumers.runtime.memory import MemoryRecord
from feed.testing import until
from schemas.change import Op
from schemas.errors import PoisonError, RetryableError
from schemas.marker import SnapshotMarker, marker_headers
from tests.unit.consumers.consumer_contract import AWAY, Recorder, Running, value_of
from tests.unit.consumers.test_runtime_on_memory import MemoryRig
from tests.unit.order_changes import change, order

MARKER = SnapshotMarker(epoch=2, partition=0, partitions=2, at_ms=5)


@dataclass
class Sweeper(Recorder):
    """A recorder that is told of snapshots, and takes its time."""

    pieces: int = 1
    swept: list[tuple[SnapshotMarker, int]] = field(default_factory=list)
    refusing: list[Exception] = field(default_factory=list)

    def snapshot_complete(self, marker: SnapshotMarker) -> bool:
        """Remember how many records had been handled."""
        if self.refusing:
            raise self.refusing.pop()
        self.swept.append((marker, len(self.seen)))
        return len(self.swept) >= self.pieces


def put_marker(rig: MemoryRig) -> int:
    """Write the marker behind what is there."""
    return rig.memory.put(None, None, headers=marker_headers(MARKER, "urn:dynamodb:eu-west-1:orders"))


@pytest.mark.parametrize("in_flight", [1, 4])
def test_the_sink_is_told_once_everything_before_is_durable(in_flight: int) -> None:
    """A parked key holds the marker back, later records of other keys go on; then it is told, and committed past."""
    rig, sink = MemoryRig(), Sweeper(failing={"a": AWAY})
    rig.put("a", value_of("a", 1))
    rig.put("b", value_of("b", 2))
    put_marker(rig)
    rig.put("c", value_of("c", 3))
    with Running(rig, sink, in_flight=in_flight):
        until(lambda: sink.of("c") == [3], "the record behind the marker")
        assert sink.swept == []
        sink.failing.clear()
        until(lambda: sink.swept, "the marker")
        assert sink.of("a") == [1]
        until(lambda: rig.committed() == 4, "a commit of everything")
    assert sink.swept == [(MARKER, 3)]


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_long_sweep_is_done_in_pieces(in_flight: int) -> None:
    """The sink is called until it says that it is done; a failure on the way is tried again; nothing is committed."""
    rig, sink = MemoryRig(), Sweeper(pieces=5, refusing=[RetryableError("away", hint="wait")])
    rig.put("b", value_of("b", 2))
    put_marker(rig)
    with Running(rig, sink, in_flight=in_flight):
        until(lambda: rig.committed() == 2, "a commit past the marker")
    assert len(sink.swept) == 5


def test_a_refused_sweep_stops_the_consumer_before_the_marker() -> None:
    """A marker is never a dead letter: what it asks for must not be left undone."""
    rig, sink = MemoryRig(), Sweeper(refusing=[PoisonError("no", hint="none")])
    rig.put("b", value_of("b", 2))
    put_marker(rig)
    with Running(rig, sink) as running:
        assert "the end of snapshot 2 is refused" in str(running.failed())
    assert rig.dead_letters() == []
    assert rig.committed() in (None, 0, 1)


def test_a_sink_that_does_not_ask_passes_over_it() -> None:
    """It is counted under a reason of its own; a tombstone is still one."""
    rig, sink = MemoryRig(), Recorder()
    rig.put("a", None)
    put_marker(rig)
    with Running(rig, sink) as running:
        until(lambda: rig.committed() == 2, "a commit of both")
        for reason in ("tombstone", "snapshot-complete"):
            assert running.metric("feed_consumer_passed_over_total", sink="recorder", reason=reason) == 1
    assert rig.dead_letters() == []
    assert isinstance(rig.memory, MemoryBroker)


def task(offset: int, key: bytes = b"") -> Task:
    """A task of partition 0."""
    return Task(MemoryRecord("t", 0, offset, key, b"v"), (0, key), 3)


@given(st.lists(st.sampled_from(["a", "b", "|", "take", "finish", "park", "wake"]), max_size=60))
def test_a_barrier_is_handed_out_after_all_before_it(schedule: list[str]) -> None:
    """In every schedule: never before an earlier record is done, and always once all of them are."""
    lanes, flying, done, barriers, offset = Lanes(), list[Task](), set[int](), set[int](), 0
    why = RuntimeError("away")
    for clock, step in enumerate([*schedule, *["wake", "take", "finish"] * (len(schedule) + 1)]):
        if step in {"a", "b"}:
            lanes.offer(task(offset, step.encode()))
            offset += 1
        elif step == "|":
            lanes.offer_barrier(task(offset))
            barriers.add(offset)
            offset += 1
        elif step == "take" and (taken := lanes.next_ready()) is not None:
            if taken.record.offset() in barriers:
                assert done >= set(range(taken.record.offset()))
            flying.append(taken)
        elif step == "finish" and flying:
            ended = flying.pop(0)
            lanes.finish(ended)
            done.add(ended.record.offset())
        elif step == "park" and flying:
            lanes.park(flying.pop(), clock + 2, why)
        elif step == "wake":
            lanes.wake(clock + 10)
    assert done == set(range(offset))
    assert len(lanes) == 0
    assert lanes.load(0, 0).records == 0


def test_a_row_has_no_reaction_time() -> None:
    """Its item may have been written years ago: that says nothing of how fast the feed is."""
    read = time_of("updatedAt")
    row = change(Op.READ, None, order("paid", 3), sequence=0, epoch=2)
    assert read(row) is None
    assert read(change(Op.UPDATE, order("paid", 2), order("paid", 3), sequence=7)) is not None
