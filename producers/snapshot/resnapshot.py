"""The policy ``resnapshot``: the worker that owns slot 0 scans after a gap, and goes on with what another run left."""

from __future__ import annotations

import logging
from collections.abc import Callable

from producers.snapshot.parts import NotAdoptedError, ReplacedError, Stage
from producers.snapshot.run import SnapshotRun
from producers.stream.ports import Clock
from producers.stream.view import View
from schemas.errors import FatalError, RetryableError
from schemas.snapshot import SnapshotState

WATCH_MS = 1_000
"""How often it is looked whether a snapshot is due."""

AFTER_GAP = "a gap was told"

_log = logging.getLogger(__name__)


def reason_after_gap(state: SnapshotState) -> str:
    """Why to begin a snapshot by itself: any number of gaps since the last one was asked for are one reason."""
    return AFTER_GAP if state.due else ""


class Resnapshot:
    """Driven by :meth:`step` on a thread of its own while the worker owns slot 0; the stream flows meanwhile."""

    def __init__(
        self,
        view: View,
        clock: Clock,
        make: Callable[[], SnapshotRun],
        *,
        takeover_after_ms: int,
        tell: Callable[[str], None],
    ) -> None:
        """Take how to make a run, and whom to tell why a snapshot cannot go on (an empty text: it can)."""
        self._view, self._clock, self._make, self._tell = view, clock, make, tell
        self._takeover_after_ms = takeover_after_ms
        self._run: SnapshotRun | None = None
        self._again_at_ms = 0

    def step(self) -> int:
        """Go one step on; milliseconds until the next is due."""
        now = self._clock.steady_ms()
        if now < self._again_at_ms:
            return min(WATCH_MS, self._again_at_ms - now)
        if self._run is None and not self._wanted():
            return WATCH_MS
        try:
            self._run = self._run or self._make()
            wait = self._run.step()
        except ReplacedError as error:
            _log.info("snapshot left to another run error=%s", error)
            return self._pause()
        except (NotAdoptedError, RetryableError) as error:
            _log.warning("snapshot waits error=%s hint=%s", error, error.hint)
            self._tell(str(error))
            return self._pause()
        except FatalError as error:
            # the stream must flow on: what a scan cannot do is told, and tried again
            _log.error("snapshot failed error=%s hint=%s", error, error.hint)
            self._tell(str(error))
            return self._pause()
        if self._run.stage is Stage.DONE:
            self._run = None
            return WATCH_MS
        if self._run.stage is Stage.SCANNING:
            self._tell("")
        return wait

    def stop(self) -> None:
        """Abort what is open, and leave it to the next owner."""
        if self._run is not None:
            self._run.stop()
            self._run = None

    def _wanted(self) -> bool:
        state = self._view.snapshot
        if state.pending is None:
            return state.due
        # a person's command, or a former owner, may be at it
        return self._clock.now_ms() - state.moved_at_ms >= self._takeover_after_ms

    def _pause(self) -> int:
        self.stop()
        self._again_at_ms = self._clock.steady_ms() + self._takeover_after_ms
        return WATCH_MS
