"""Record sinks: in line on the loop's thread, or several keys in flight on threads of their own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

from consumers.runtime.backoff import Backoff
from consumers.runtime.contracts import Partition, Record
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.handling import Done, Early, Failed, Handling, Outcome, Unfinished
from consumers.runtime.lanes import Lanes, Task
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.offsets import OffsetTracker
from consumers.runtime.outage import Outage
from consumers.runtime.pressure import Load
from consumers.runtime.settings import RuntimeSettings
from schemas.errors import RetryableError

SLICE_S = 1.0
"""How long the loop may handle records in line before it asks the client again; heartbeats do not depend on it."""

GOES_ON = RetryableError("a long piece of work goes on", hint="nothing is wrong")
"""Why a record is parked whose sink wants to be called again."""

_log = logging.getLogger(__name__)


class RecordFlow:
    """Everything between fetched records and committable offsets, for a sink that handles one change at a time.

    One lock guards lanes, trackers, outage and counters. With ``in_flight`` 1 there are no threads: the loop's own one
    handles records as they come, and lanes are used only while something is parked.
    """

    def __init__(
        self,
        handling: Handling,
        settings: RuntimeSettings,
        *,
        dead_letters: DeadLetters,
        metrics: ConsumerMetrics,
        now_ms: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._handling = handling
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._now_ms = now_ms
        self._random = random
        self._backoff = Backoff(settings.retry_base_ms, settings.retry_cap_ms)
        self._outage = Outage(settings.outage_after, self._backoff, random)
        self._lanes = Lanes()
        self._trackers: dict[int, OffsetTracker] = {}
        self._in_flight = 0
        self._handled: dict[int, int] = {}
        self._fatal: Exception | None = None
        self._closed = False
        self._interrupted = False
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        """Its waiters are idle threads: there may be something to take."""
        self._ended = threading.Condition(lock)
        """Its waiter is :meth:`settle`: something is no longer in flight."""
        self._threads = [
            threading.Thread(target=self._run, name=f"{metrics.sink}-{n}", daemon=True)
            for n in range(settings.in_flight if settings.in_flight > 1 else 0)
        ]

    def open(self, partition: Partition, committed: int) -> int:
        """Begin with a partition where the group stands."""
        with self._changed:
            self._trackers[partition.number] = OffsetTracker(committed)
        for thread in self._threads:
            if thread.ident is None:
                thread.start()
        return committed

    def accept(self, partition: int, records: Sequence[Record]) -> None:
        """Handle in line what may be, line up the rest."""
        if self._threads or not self._handling.plain or self._outage.on:
            self._line_up(partition, records)
        else:
            self._in_line(partition, records)

    def reached(self, partition: int, position: int) -> None:
        """The end of the partition: what lies before it and was not handed out holds no record."""
        with self._changed:
            tracker = self._trackers[partition]
            if position > tracker.position:
                tracker.pass_to(position)

    def work(self) -> int | None:
        """Try what is ready (in line), wake what is due, pass on the counts."""
        with self._changed:
            if self._fatal is not None:
                raise self._fatal
            self._lanes.wake(self._now_ms())
            self._changed.notify(min(self._lanes.ready, len(self._threads)))
        if not self._threads:
            self._work_in_line()
        with self._changed:
            self._count()
            return self._wait_ms()

    def committable(self, partition: int) -> int:
        """The contiguous prefix whose effects are durable."""
        with self._changed:
            return self._trackers[partition].committable()

    def load(self, partition: int) -> Load:
        """Records that wait, are in flight or parked."""
        with self._changed:
            return self._lanes.load(partition, self._trackers[partition].span())

    def blocked(self, partition: int) -> str | None:  # noqa: ARG002 (the other kind of flow asks per partition)
        """Never: the bounds alone pause a partition."""
        return None

    def trouble(self, partition: int) -> str:
        """How many keys are parked, and why the first of them is."""
        with self._changed:
            parked = [(task, why) for key, task, why in self._lanes.parked() if key[0] == partition]
        if not parked:
            return ""
        task, why = parked[0]
        return f"{len(parked)} keys parked, the first at offset {task.record.offset()}, try {task.attempt}: {why}"

    def hangs(self) -> str:
        """Threads of its own may hang; the loop does not wait for them."""
        return ""

    def interrupt(self) -> None:
        """In line: come back as soon as the record under way is done."""
        self._interrupted = True

    def settle(self, partitions: Collection[int], budget_ms: int) -> None:
        """Start nothing more, wait for what is in flight."""
        self._interrupted = False
        deadline = time.monotonic() + budget_ms / 1000
        with self._changed:
            for partition in partitions:
                self._lanes.retire(partition)
            while any(self._lanes.in_flight(p) for p in partitions) and (left := deadline - time.monotonic()) > 0:
                self._ended.wait(left)
            self._count()

    def forget(self, partitions: Collection[int]) -> None:
        """What is still in flight may finish, but counts for nothing: the next owner does it again, idempotently."""
        self._interrupted = False
        with self._changed:
            for partition in partitions:
                self._lanes.drop(partition)
                self._trackers.pop(partition, None)

    def close(self) -> None:
        """End the threads; one that hangs in its sink is a daemon and dies with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=1.0)

    # -- in line ------------------------------------------------------------------------------------------------

    def _in_line(self, partition: int, records: Sequence[Record]) -> None:
        tracker = self._trackers[partition]
        until = time.monotonic() + SLICE_S
        at, count = 0, len(records)
        while at < count:
            if self._lanes.ready or self._outage.on or self._interrupted or time.monotonic() > until:
                self._line_up(partition, records[at:])
                return
            at += self._sprint(tracker, partition, records[at:] if at else records, until)

    def _sprint(self, tracker: OffsetTracker, partition: int, records: Sequence[Record], until: float) -> int:
        """Handle records without any bookkeeping per record; returns how many, up to and with the first that failed."""
        handling, observe, clock = self._handling, self._metrics.reaction.observe, time.monotonic
        decode, handle, time_of, now_ms = handling.decode, handling.handle, handling.time_of, handling.now_ms
        busy = self._lanes.busy if len(self._lanes) else None
        done, failure = 0, None
        try:
            for record in records:
                value = record.value()
                if (
                    not value
                    or self._interrupted
                    or clock() > until
                    or (busy is not None and busy((partition, record.key() or b"")))
                ):
                    break
                change = decode(value)
                handle(change)
                done += 1
                at_ms = time_of(change)
                if at_ms is not None:
                    observe(now_ms() - at_ms)
        except Exception as error:  # noqa: BLE001 (judged below: retryable, poison, or fatal and raised)
            failure = error
        if done:
            tracker.pass_to(records[done - 1].offset() + 1)
            self._outage.worked()  # it was not on, so nothing ends
            self._handled[partition] = self._handled.get(partition, 0) + done
        if done == len(records):
            return done
        self._line_up(partition, records[done : done + 1])
        task = self._take()  # none when it waits behind a parked record of its key
        if task is not None:
            self._apply(task, self._outcome(task, failure))
        return done + 1

    def _outcome(self, task: Task, failure: Exception | None) -> Outcome:
        if failure is None:  # nothing failed: the record has no value, or the loop's slice of time is over
            return self._attempt(task)
        return self._handling.refuse(task.record, failure, task.attempt)

    def _work_in_line(self) -> None:
        until = time.monotonic() + SLICE_S
        while not self._interrupted and time.monotonic() < until and (task := self._take()) is not None:
            self._apply(task, self._attempt(task))

    # -- several in flight --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            task = self._next_after(None)
            while task is not None:
                task = self._next_after((task, self._attempt(task)))
        except Exception as error:  # noqa: BLE001 (a thread's error has no caller: the loop raises it)
            with self._changed:
                self._fatal = self._fatal or error
                self._changed.notify_all()

    def _next_after(self, done: tuple[Task, Outcome] | None) -> Task | None:
        """End a task and wait for the next one, in one hold of the lock that all threads share."""
        with self._changed:
            if done is not None:
                self._apply(*done)
            while not self._closed and self._fatal is None:
                task = self._take()
                if task is not None:
                    return task
                self._changed.wait()
            return None

    # -- both ---------------------------------------------------------------------------------------------------

    def _line_up(self, partition: int, records: Sequence[Record]) -> None:
        with self._changed:
            tracker, lanes = self._trackers[partition], self._lanes
            for record in records:
                tracker.take(record.offset())
                key = record.key() or b""
                task = Task(record, (partition, key), len(key) + len(record.value() or b""))
                if not key and self._handling.barrier(record):
                    lanes.offer_barrier(task)
                else:
                    lanes.offer(task)
            self._changed.notify(len(records))

    def _take(self) -> Task | None:
        if not self._outage.may_try(self._now_ms(), self._in_flight):
            return None
        task = self._lanes.next_ready()
        if task is not None:
            self._in_flight += 1
        return task

    def _attempt(self, task: Task) -> Outcome:
        return self._handling.attempt(task.record, task.attempt, lambda: self._behind(task))

    def _behind(self, task: Task) -> tuple[Record, ...]:
        with self._changed:
            return self._lanes.behind(task)

    def _apply(self, task: Task, outcome: Outcome) -> None:
        with self._changed:
            self._in_flight -= 1
            if isinstance(outcome, Failed):
                self._park(task, outcome)
            elif isinstance(outcome, Early):
                self._lanes.wait(task, outcome.due_ms)
            elif isinstance(outcome, Unfinished):  # its turn comes again with the loop's next one
                self._lanes.park(task, self._now_ms(), GOES_ON)
            elif self._lanes.finish(task):
                self._finish(task, outcome)
            self._ended.notify_all()

    def _park(self, task: Task, outcome: Failed) -> None:
        now_ms = self._now_ms()
        self._metrics.retry(outcome.error)
        self._lanes.park(task, now_ms + self._backoff.delay_ms(task.attempt, self._random), outcome.error)
        if self._outage.failed(now_ms):
            _log.warning("outage begins sink=%s error=%s", self._metrics.sink, outcome.error)

    def _finish(self, task: Task, outcome: Done) -> None:
        partition = task.lane[0]
        self._trackers[partition].finish(task.record.offset())
        if outcome.took_ms is not None:
            self._metrics.reaction.observe(outcome.took_ms)
        if not outcome.handled:
            return
        self._handled[partition] = self._handled.get(partition, 0) + 1
        if self._outage.worked():
            _log.warning("outage ends sink=%s", self._metrics.sink)
            self._lanes.wake(self._now_ms() + self._backoff.cap_ms)  # what waited for it need not wait longer
            self._changed.notify_all()

    def _wait_ms(self) -> int | None:
        now_ms, due_ms = self._now_ms(), self._lanes.next_due_ms()
        if self._lanes.ready and not self._threads:
            return self._outage.wait_ms(now_ms) if self._outage.on else 0
        return None if due_ms is None else max(0, due_ms - now_ms)

    def _count(self) -> None:
        for partition, handled in self._handled.items():
            self._metrics.handled(partition, handled)
        if self._handled:
            self._dead_letters.seen(sum(self._handled.values()))
            self._handled.clear()
