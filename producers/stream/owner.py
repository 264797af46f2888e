"""The owner of a slot: takes it, runs it, takes it again when it was lost while assigned, leaves it when revoked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from producers.stream.environment import Environment
from producers.stream.ports import Log, SlotLog, SlotLostError
from producers.stream.slot import Slot
from schemas.errors import FatalError, FeedError, RetryableError

STEADY_AFTER_MS = 60_000
"""A slot that ran so long without being lost is steady: the next loss is a first one."""

_log = logging.getLogger(__name__)


class OwnerState(StrEnum):
    """Where an owner stands."""

    TAKING = "taking"
    RUNNING = "running"
    STOPPED = "stopped"


class SlotOwner:
    """One slot while the group assigns it to this worker. Driven by :meth:`step`, on one thread."""

    def __init__(self, number: int, environment: Environment, log: Log, assigned: Callable[[int], bool]) -> None:
        self.number, self._env, self._kafka, self._assigned = number, environment, log, assigned
        self._feed = environment.source.feed
        self.state = OwnerState.TAKING
        self.failure: FatalError | None = None
        self.running_since_ms: int | None = None
        self.stalled_since_ms: int | None = environment.clock.steady_ms()
        """Since when the slot has not been at work, by the steady clock; a slot that is lost again and again counts
        from its first loss."""
        self.slot: Slot | None = None
        self.wakeup = threading.Event()
        """Set by whatever gives the slot something to do."""
        self._log: SlotLog | None = None
        self._losses = 0
        self._wait_until_ms = 0
        environment.view.on_change(self.wakeup.set)

    def step(self) -> int:
        """Go one step on; milliseconds until the next is due, if nothing wakes it before."""
        if self.state is OwnerState.STOPPED:
            return 0
        if not self._assigned(self.number):
            self.stop()
            return 0
        try:
            if self.slot is None:
                return self._take()
            return self._run(self.slot)
        except FatalError as error:
            self.failure = error
            self.stop()
            return 0

    def stop(self) -> None:
        """Abort what is open, and leave."""
        if self.state is OwnerState.STOPPED:
            return
        self.state = OwnerState.STOPPED
        self._env.view.forget(self.wakeup.set)
        self._leave(abort=True)
        _log.info("slot left feed=%s slot=%d", self._feed, self.number)

    def _run(self, slot: Slot) -> int:
        try:
            wait = slot.step()
        except SlotLostError as error:
            _log.warning("slot lost feed=%s slot=%d error=%s", self._feed, self.number, error)
            self._leave(abort=False)
            return self._back_off()
        now = self._env.clock.steady_ms()
        steady = self.running_since_ms is not None and now - self.running_since_ms >= STEADY_AFTER_MS
        if steady or slot.has_committed or not self._losses:
            self.stalled_since_ms = None
        if steady:
            self._losses = 0
        return wait

    def _take(self) -> int:
        """Take the slot; assignment is checked before and after the init.

        An init of a slot that is not ours fences its rightful owner (who takes it again), and no work may follow it.
        """
        now = self._env.clock.steady_ms()
        if now < self._wait_until_ms:
            return self._wait_until_ms - now
        try:
            self._log = self._kafka.take(self.number)
            if not self._assigned(self.number):
                self.stop()
                return 0
            entries = self._kafka.read_back(self.number)
        except RetryableError as error:
            _log.warning("slot not taken feed=%s slot=%d error=%s", self._feed, self.number, error)
            self._leave(abort=False)
            return self._back_off()
        self.slot = Slot(self.number, self._env, self._log, entries, self.wakeup.set)
        self.state, self.running_since_ms = OwnerState.RUNNING, self._env.clock.steady_ms()
        self._env.metrics.taken(self.number)
        took_ms = self.running_since_ms - now
        positions = len(self.slot.positions)
        _log.info("slot taken feed=%s slot=%d positions=%d took_ms=%d", self._feed, self.number, positions, took_ms)
        return 0

    def _back_off(self) -> int:
        settings = self._env.settings
        self._losses += 1
        ceiling = min(settings.retake_max_ms, settings.retake_min_ms << min(self._losses - 1, 10))
        wait = int(ceiling * (0.5 + self._env.clock.random() / 2))
        self._wait_until_ms = self._env.clock.steady_ms() + wait
        return wait

    def _leave(self, *, abort: bool) -> None:
        if self.state is not OwnerState.STOPPED:
            self.state = OwnerState.TAKING
        self.running_since_ms = None
        if self.stalled_since_ms is None:
            self.stalled_since_ms = self._env.clock.steady_ms()
        if self.slot is not None:
            self.slot.stop()
            self.slot = None
        if self._log is not None:
            log, self._log = self._log, None
            try:
                if abort:
                    log.abort()
            except FeedError as error:
                # the next owner's init ends it
                _log.info("abort not confirmed feed=%s slot=%d error=%s", self._feed, self.number, error)
            log.close()
