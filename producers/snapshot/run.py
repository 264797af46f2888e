"""One snapshot: asks for its epoch, waits until every slot publishes under it, scans, tells that it is complete.

Driven by :meth:`SnapshotRun.step` on one thread; pages are read beside it and only drop their answers into a queue. The
rows and how far each segment is are one transaction, under a transactional id of the snapshot's own: so a run that is
killed at any moment is resumed by the next one, every row once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from producers.snapshot.parts import NotAdoptedError, Parts, Progress, ReplacedError, Stage
from producers.snapshot.publish import publish_complete, publish_rows
from producers.snapshot.rate import ReadUnits
from producers.snapshot.reading import Reading, pause_ms
from producers.snapshot.rows import Rows, compose_rows
from producers.stream.ports import BatchAbortedError, SlotLog, SlotLostError
from schemas.errors import FatalError, FeedError, RetryableError
from schemas.position import BASELINE_KEY, Baseline
from schemas.snapshot import REQUEST_KEY, RUN_KEY, Complete, Request, Run, SnapshotState, entry_json

IDLE_STEP_MS = 500
"""Longest sleep between two steps."""

_log = logging.getLogger(__name__)


class SnapshotRun:
    """From asking for a snapshot (or finding one that is under way) to its end."""

    def __init__(self, parts: Parts, reason_of: Callable[[SnapshotState], str], wake: Callable[[], None]) -> None:
        """Take what it works with, and why to begin one when none is under way: an empty reason is none."""
        self._parts, self._reason_of = parts, reason_of
        self.stage = Stage.TAKING
        self.state = SnapshotState()
        """What stood in the topic when it was taken."""
        self.request: Request | None = None
        self._log: SlotLog | None = None
        self._reading = Reading(parts, ReadUnits(parts.settings.read_units_per_second, parts.clock.steady_ms), wake)
        self._told = False
        """Whether this run's id stood in the topic once."""
        self._failures = 0
        self._wait_until_ms = 0
        self._waiting_since_ms = 0

    def progress(self) -> Progress:
        """How far it is."""
        request, segments = self.request, self._reading.segments
        missing = self._parts.view.missing_slots(request.epoch) if request and self.stage is Stage.WAITING else []
        return Progress(
            stage=self.stage,
            epoch=request.epoch if request else 0,
            rows=sum(segment.ordinal + 1 for segment in segments),
            refused=sum(segment.refused for segment in segments),
            dropped=sum(segment.dropped for segment in segments),
            units=sum(segment.units for segment in segments),
            segments_done=sum(segment.done for segment in segments),
            segments=len(segments),
            missing_slots=tuple(missing),
        )

    def step(self) -> int:
        """Go one step on; milliseconds until the next is due, if nothing wakes it before.

        Raises:
            ReplacedError: another run goes on with it.
            NotAdoptedError: slots are missing for too long; the request stays.
            FatalError: the table cannot be scanned, or what stands in the topic cannot be read.
        """
        now = self._parts.clock.steady_ms()
        if self.stage is Stage.DONE:
            return IDLE_STEP_MS
        if now < self._wait_until_ms:
            return self._wait_until_ms - now
        try:
            match self.stage:
                case Stage.TAKING:
                    return self._take()
                case Stage.WAITING:
                    return self._await_slots(now)
                case _:
                    return self._go_on()
        except BatchAbortedError as error:
            return self._rewind(error)
        except RetryableError as error:
            _log.warning("snapshot lost or not taken error=%s", error)
            return self._take_again()

    def stop(self) -> None:
        """Abort what is open, and leave."""
        if self._log is not None:
            try:
                self._log.abort()
            except FeedError as error:
                # the next run's init ends it
                _log.info("abort not confirmed error=%s", error)
        self._leave()

    # --- who scans, and under which epoch

    def _take(self) -> int:
        """Fence any other run, read what stands, and say that this one goes on."""
        parts = self._parts
        self._log = parts.log.take(0)
        state = SnapshotState()
        for key, value in parts.log.read_back(0):
            state = state.apply(key, value)
        self.state = state
        if self._told and state.run is not None and state.run.id != parts.run_id:
            self._leave()
            raise ReplacedError(
                f"another run ({state.run.id}) goes on with the snapshot",
                hint="nothing is lost and nothing is done twice: only one run at a time scans",
            )
        request = state.pending
        if request is None:
            # a run whose last commit happened, though its answer was lost, has nothing left to do
            ended = self.request is not None and self.request.epoch <= state.completed_epoch
            reason = "" if ended else self._reason_of(state)
            if not reason:
                self._leave()
                self.stage = Stage.DONE
                return 0
            request = self._new_request(state, reason)
        self._announce(request, state)
        self.request = request
        self._reading.begin(state.segments_of(request))
        self.stage, self._failures = Stage.WAITING, 0
        self._waiting_since_ms = parts.clock.steady_ms()
        return 0

    def _new_request(self, state: SnapshotState, reason: str) -> Request:
        """The request; its epoch is above all that was used before a gap, and above every snapshot so far."""
        parts = self._parts
        # read to its end: what the view has heard may be late, and rows of a used epoch would overwrite nothing
        value = dict(parts.positions.read_back(0)).get(BASELINE_KEY)
        if value is None:
            raise NotAdoptedError(
                "no producer has begun this feed yet", hint="start one with `feed run producer`, then run this again"
            )
        used = Baseline.from_json(value).epoch
        # a new stream has raised the epoch after its gap by itself: the snapshot takes that one
        lowest = used if state.due else used + 1
        asked = state.request.epoch if state.request else 0
        epoch = max(lowest, state.completed_epoch + 1, asked + 1, state.gap_epoch + 1)
        return Request(epoch, parts.settings.segments, parts.clock.now_ms(), reason)

    def _announce(self, request: Request, state: SnapshotState) -> None:
        log, now_ms = self._open_log(), self._parts.clock.now_ms()
        resumed = request == state.request
        log.begin()
        log.save(RUN_KEY, entry_json(Run(self._parts.run_id, now_ms)), now_ms)
        if not resumed:
            log.save(REQUEST_KEY, entry_json(request), now_ms)
        log.commit()
        self._told = True
        _log.info("snapshot %s epoch=%d", "resumed" if resumed else "requested", request.epoch)

    def _await_slots(self, now: int) -> int:
        """The scan must see every change that went out under a former epoch: so all slots raise it first."""
        request = self._asked()
        if missing := self._parts.view.missing_slots(request.epoch):
            if now - self._waiting_since_ms > self._parts.settings.slots_timeout_ms:
                raise NotAdoptedError(
                    f"slots {missing} have not written that they publish under epoch {request.epoch}",
                    hint="does a producer run, and are its slots assigned? `feed slots show`; "
                    "the request stays, the next run goes on with it",
                )
            return IDLE_STEP_MS
        _log.info("snapshot begins to scan epoch=%d segments=%d", request.epoch, request.segments)
        self.stage = Stage.SCANNING
        return 0

    # --- pages in, rows out

    def _go_on(self) -> int:
        reading = self._reading
        reading.collect()
        if reading.pages:
            self._publish()
            reading.collect()
        if all(segment.done for segment in reading.segments):
            self._finish()
            return 0
        wait = reading.ask(IDLE_STEP_MS)
        return 0 if reading.pages else wait

    def _publish(self) -> None:
        """One transaction: pages as they came, up to the bound, and how far their segments are with them."""
        parts, log, pages = self._parts, self._open_log(), self._reading.pages
        taken: list[Rows] = []
        published = 0
        log.begin()
        while pages and published < parts.settings.batch_max_rows:
            read = pages.popleft()
            segment, now_ms = self._reading.saved(read.segment), parts.clock.now_ms()
            rows = compose_rows(read.page, segment, parts.rows, at_ms=read.at_ms, now_ms=now_ms)
            publish_rows(log, parts.rows.source.feed, rows)
            taken.append(rows)
            published += len(rows.changes)
        log.commit()
        self._failures = 0
        for rows in taken:
            self._reading.published(rows.segment)

    def _finish(self) -> None:
        """The markers, the control event and the record of it, at once."""
        parts, request, progress = self._parts, self._asked(), self.progress()
        complete = Complete(request.epoch, progress.rows, progress.refused, parts.clock.now_ms())
        log = self._open_log()
        log.begin()
        publish_complete(log, parts.rows.source, complete, partitions=parts.partitions, segments=request.segments)
        log.commit()
        self.stage = Stage.DONE
        _log.info("snapshot complete epoch=%d rows=%d refused=%d", complete.epoch, complete.rows, complete.refused)
        self._leave()

    # --- when it goes wrong

    def _rewind(self, error: BatchAbortedError) -> int:
        """Nothing of the transaction will be seen: pages are read again from what is saved."""
        _log.warning("snapshot batch aborted error=%s", error)
        if self.stage is not Stage.SCANNING:
            self.stop()
            return self._take_again()
        self._reading.rewind()
        try:
            self._open_log().abort()
        except RetryableError:
            return self._take_again()
        return self._back_off()

    def _take_again(self) -> int:
        self._leave()
        self.stage = Stage.TAKING
        return self._back_off()

    def _back_off(self) -> int:
        self._failures += 1
        wait = pause_ms(self._failures, self._parts)
        self._wait_until_ms = self._parts.clock.steady_ms() + wait
        return wait

    def _leave(self) -> None:
        if self._log is not None:
            log, self._log = self._log, None
            log.close()

    def _open_log(self) -> SlotLog:
        if self._log is None:
            raise SlotLostError("the snapshot's log is not open", hint="it is taken anew")
        return self._log

    def _asked(self) -> Request:
        if self.request is None:
            raise FatalError("a snapshot without a request", hint="this is a bug: report it with the log")
        return self.request
