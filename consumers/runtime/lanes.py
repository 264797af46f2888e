"""Parallel by key, ordered within a key. Pure: no thread, no clock; who calls it holds the lock.

A *lane* is one key of one partition with its records in order. Its first record is in exactly one place: *ready*
(somebody may take it), *in flight* (somebody works on it) or *parked* (it failed or came too early, and waits until a
moment). The others wait behind it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from consumers.runtime.contracts import Record
from consumers.runtime.pressure import Load

LaneKey = tuple[int, bytes]
"""Partition number and key. Records without a key share the lane ``b""`` of their partition: their order is kept."""


@dataclass(slots=True, eq=False)
class Task:
    """One record on its way to its effect."""

    record: Record
    lane: LaneKey
    payload_bytes: int
    attempt: int = 1
    in_flight: bool = False
    """True while somebody works on it."""
    dropped: bool = False
    """True when its partition was given up meanwhile: what became of it is not counted."""


@dataclass(slots=True, eq=False)
class _Lane:
    tasks: deque[Task] = field(default_factory=deque)
    parked_because: Exception | None = None


@dataclass(slots=True)
class _Barrier:
    """A record that waits for all that came before it in its partition."""

    task: Task
    before: int
    """How many of those are not done yet."""


@dataclass(slots=True)
class _Held:
    """What one partition holds; kept while it goes, since counting it anew for each record would be quadratic."""

    records: int = 0
    payload_bytes: int = 0
    parked: set[bytes] = field(default_factory=set)
    in_flight: int = 0
    barriers: list[_Barrier] = field(default_factory=list)


class Lanes:
    """The lanes of all assigned partitions."""

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, _Lane] = {}
        self._ready: deque[Task] = deque()
        self._timers: list[tuple[int, int, Task]] = []  # (due, tie-break, parked head)
        self._ticket = 0
        self._held: dict[int, _Held] = {}

    def __len__(self) -> int:
        """Keys with work left."""
        return len(self._lanes)

    @property
    def ready(self) -> int:
        """Records that somebody may take now (some may have been dropped)."""
        return len(self._ready)

    def busy(self, lane: LaneKey) -> bool:
        """True when this key has records before any new one."""
        return lane in self._lanes

    def offer(self, task: Task) -> None:
        """A record arrived: it is ready, or waits behind earlier ones of its key."""
        self._hold(task)
        self._line_up(task)

    def _line_up(self, task: Task) -> None:
        lane = self._lanes.get(task.lane)
        if lane is not None:
            lane.tasks.append(task)
            return
        self._lanes[task.lane] = _Lane(deque((task,)))
        self._ready.append(task)

    def offer_barrier(self, task: Task) -> None:
        """A record arrived that is ready once all records before it in its partition are done; later ones go on."""
        self._hold(task)
        held = self._held[task.lane[0]]
        if held.records == 1:
            self._line_up(task)
        else:
            held.barriers.append(_Barrier(task, held.records - 1))

    def next_ready(self) -> Task | None:
        """Take the first ready record; it is in flight until :meth:`finish` or :meth:`park` is called for it."""
        while self._ready:
            task = self._ready.popleft()
            if not task.dropped:
                task.in_flight = True
                self._held[task.lane[0]].in_flight += 1
                return task
        return None

    def finish(self, task: Task) -> bool:
        """The record is done with (handled, or kept as a dead letter).

        Returns:
            False when its partition was given up meanwhile: then nothing may be counted for it.
        """
        task.in_flight = False
        if task.dropped:
            return False
        held = self._held[task.lane[0]]
        held.in_flight -= 1
        held.records -= 1
        held.payload_bytes -= task.payload_bytes
        lane = self._lanes[task.lane]
        lane.tasks.popleft()
        if lane.parked_because is not None:
            lane.parked_because = None
            held.parked.discard(task.lane[1])
        if lane.tasks:
            self._ready.append(lane.tasks[0])
        else:
            del self._lanes[task.lane]
        if held.barriers:
            self._count_before(held, task)
        return True

    def _count_before(self, held: _Held, done: Task) -> None:
        """A record is done: barriers behind it wait for one less."""
        for barrier in list(held.barriers):
            if done.record.offset() < barrier.task.record.offset():
                barrier.before -= 1
                if not barrier.before:
                    held.barriers.remove(barrier)
                    self._line_up(barrier.task)

    def park(self, task: Task, due_ms: int, because: Exception) -> None:
        """The record failed in a way that may pass: its key waits until ``due_ms``, whatever comes for it lines up."""
        task.in_flight = False
        if task.dropped:
            return
        task.attempt += 1
        held = self._held[task.lane[0]]
        held.in_flight -= 1
        held.parked.add(task.lane[1])
        self._lanes[task.lane].parked_because = because
        self._ticket += 1
        heapq.heappush(self._timers, (due_ms, self._ticket, task))

    def wait(self, task: Task, due_ms: int) -> None:
        """It is too early for the record: its key waits until ``due_ms``, though nothing failed."""
        task.in_flight = False
        if task.dropped:
            return
        self._held[task.lane[0]].in_flight -= 1
        self._ticket += 1
        heapq.heappush(self._timers, (due_ms, self._ticket, task))

    def behind(self, task: Task) -> tuple[Record, ...]:
        """The records that wait behind one that is in flight, in order."""
        lane = None if task.dropped else self._lanes.get(task.lane)
        return () if lane is None else tuple(waiting.record for waiting in islice(lane.tasks, 1, None))

    def wake(self, now_ms: int, at_most: int | None = None) -> int:
        """Make parked heads whose time has come ready, at most so many; returns how many."""
        woken = 0
        while self._timers and self._timers[0][0] <= now_ms and (at_most is None or woken < at_most):
            task = heapq.heappop(self._timers)[2]
            if not task.dropped:
                # the head stays counted as parked until its effect is durable
                self._ready.append(task)
                woken += 1
        return woken

    def next_due_ms(self) -> int | None:
        """When the next parked key is to be tried again."""
        while self._timers and self._timers[0][2].dropped:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def retire(self, partition: int) -> None:
        """Start nothing more of a partition: only what is in flight stays, and may still finish."""
        if partition in self._held:
            self._held[partition].barriers.clear()
        for key in [key for key in self._lanes if key[0] == partition]:
            tasks = self._lanes[key].tasks
            head = tasks[0]
            for task in tasks:
                task.dropped = not task.in_flight
            if head.in_flight:
                self._lanes[key].tasks = deque((head,))
            else:
                del self._lanes[key]

    def drop(self, partition: int) -> None:
        """Give a partition up: nothing of it is ready, parked, in flight or counted any more."""
        for key in [key for key in self._lanes if key[0] == partition]:
            for task in self._lanes.pop(key).tasks:
                task.dropped = True
        self._held.pop(partition, None)

    def load(self, partition: int, span: int) -> Load:
        """What a partition holds."""
        held = self._held.get(partition)
        if held is None:
            return Load(span=span)
        return Load(held.records, held.payload_bytes, len(held.parked), span)

    def in_flight(self, partition: int) -> int:
        """Records of a partition that somebody works on right now."""
        held = self._held.get(partition)
        return held.in_flight if held else 0

    def parked(self) -> Iterator[tuple[LaneKey, Task, Exception]]:
        """Every parked key with the record that is tried and why it last failed."""
        for key, lane in self._lanes.items():
            if lane.parked_because is not None:
                yield key, lane.tasks[0], lane.parked_because

    def _hold(self, task: Task) -> None:
        held = self._held.get(task.lane[0])
        if held is None:
            held = self._held[task.lane[0]] = _Held()
        held.records += 1
        held.payload_bytes += task.payload_bytes
