"""What a worker does on a thread of its own while it owns slot 0, beside the slots."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from producers.stream.view import View

STOP_BOUND_S = 2.0
"""How long the thread may take to stop."""

_log = logging.getLogger(__name__)


class Companion(Protocol):
    """What runs there."""

    def step(self) -> int:
        """Go one step on; milliseconds until the next is due."""
        ...

    def stop(self) -> None:
        """Leave what is open to the next owner."""
        ...


MakeCompanion = Callable[[View, Callable[[], None]], Companion]
"""From the worker's view, and what wakes the companion up, to the companion."""


class BesideSlot0:
    """Starts the companion's thread when slot 0 is given, and stops it when the slot is taken away."""

    def __init__(self, make: MakeCompanion, view: View, failed: Callable[[Exception], None]) -> None:
        self._make, self._view, self._failed = make, view, failed
        self._ended: threading.Event | None = None
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def match(self, *, owned: bool) -> None:
        """Run exactly while slot 0 is owned; called again and again."""
        if owned and self._thread is None:
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._ended,), name="beside-slot-0", daemon=True)
            self._thread.start()
        elif not owned and self._thread is not None:
            self.stop()

    def stop(self) -> None:
        """Ask the thread to end and wait for it, within a bound: its transaction is fenced by the next owner's."""
        if self._thread is None or self._ended is None:
            return
        self._ended.set()
        self._woken.set()
        self._thread.join(STOP_BOUND_S)
        if self._thread.is_alive():
            _log.warning("what runs beside slot 0 did not stop in time")
        self._thread = None

    def _run(self, ended: threading.Event) -> None:
        companion = self._make(self._view, self._woken.set)
        try:
            while not ended.is_set():
                wait_ms = companion.step()
                if not ended.is_set():
                    self._woken.wait(wait_ms / 1_000)
                    self._woken.clear()
        except Exception as error:  # noqa: BLE001 (a thread that dies unseen is the failure we fear most)
            _log.exception("what runs beside slot 0 failed")
            self._failed(error)
        finally:
            companion.stop()
