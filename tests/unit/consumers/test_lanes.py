"""Parallel by key, ordered within a key, as laws over random schedules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime.lanes import Lanes, Task
from consumers.runtime.memory import MemoryRecord

WHY = RuntimeError("away")


def task(partition: int, offset: int, key: bytes) -> Task:
    return Task(MemoryRecord("t", partition, offset, key, b"v"), (partition, key), 3)


keys = st.tuples(st.integers(0, 1), st.sampled_from([b"a", b"b", b"c"]))
steps = st.lists(st.one_of(keys, st.sampled_from(["take", "finish", "park", "wake"])), max_size=120)


@given(steps, st.randoms(use_true_random=False))
def test_every_schedule_keeps_the_order_of_each_key(schedule: list[object], random: object) -> None:
    """Whatever is offered, taken, finished, parked and woken: one of a key at a time, in order, each once."""
    lanes, offset = Lanes(), 0
    offered: dict[tuple[int, bytes], list[int]] = {}
    done: dict[tuple[int, bytes], list[int]] = {}
    flying: list[Task] = []
    for clock, step in enumerate([*schedule, *["wake", "take", "finish"] * (len(schedule) + 1)]):
        if isinstance(step, tuple):
            offered.setdefault(step, []).append(offset)
            lanes.offer(task(step[0], offset, step[1]))
            offset += 1
        elif step == "take" and (taken := lanes.next_ready()) is not None:
            assert taken.lane not in {other.lane for other in flying}
            flying.append(taken)
        elif step == "finish" and flying:
            ended = flying.pop(random.randrange(len(flying)))  # type: ignore[attr-defined]  # hypothesis' random
            assert lanes.finish(ended)
            done.setdefault(ended.lane, []).append(ended.record.offset())
        elif step == "park" and flying:
            lanes.park(flying.pop(), clock + 2, WHY)
        elif step == "wake":
            lanes.wake(clock + 10)
        for partition in (0, 1):
            held = sum(len(o) - len(done.get(k, [])) for k, o in offered.items() if k[0] == partition)
            assert lanes.load(partition, 0).records == held
            assert lanes.in_flight(partition) == sum(t.lane[0] == partition for t in flying)
    assert done == offered
    assert len(lanes) == 0
    assert lanes.next_due_ms() is None


def test_a_parked_key_waits_for_its_time() -> None:
    """A parked record is not handed out before it is due, and its later records wait behind it."""
    lanes = Lanes()
    for offset in range(2):
        lanes.offer(task(0, offset, b"a"))
    lanes.offer(task(0, 2, b"b"))
    first = lanes.next_ready()
    assert first is not None
    lanes.park(first, 100, WHY)
    other = lanes.next_ready()
    assert other is not None
    assert other.lane == (0, b"b")
    assert lanes.next_ready() is None
    assert lanes.wake(99) == 0
    assert lanes.next_due_ms() == 100
    assert list(lanes.parked()) == [((0, b"a"), first, WHY)]
    assert lanes.wake(100) == 1
    again = lanes.next_ready()
    assert again is first
    assert again.attempt == 2
    assert lanes.load(0, 0).parked_keys == 1  # until its effect is durable
    lanes.finish(again)
    assert lanes.load(0, 0).parked_keys == 0


def test_a_partition_that_goes_takes_its_work_along() -> None:
    """Of a partition that was given up nothing is ready, parked or counted; what was in flight counts for nothing."""
    lanes = Lanes()
    for offset, key in enumerate([b"a", b"a", b"b", b"c"]):
        lanes.offer(task(0, offset, key))
    lanes.offer(task(1, 0, b"a"))
    flying, parked = lanes.next_ready(), lanes.next_ready()
    assert flying is not None
    assert parked is not None
    lanes.park(parked, 1, WHY)
    lanes.retire(0)
    assert lanes.in_flight(0) == 1
    other = lanes.next_ready()
    assert other is not None
    assert other.lane == (1, b"a")
    assert lanes.next_ready() is None
    lanes.drop(0)
    assert not lanes.finish(flying)
    assert lanes.load(0, 0).records == 0
    assert lanes.next_due_ms() is None
