"""Keeps to the provider's rate."""

from __future__ import annotations

import threading
from collections.abc import Callable

LONGEST_WAIT_S = 1.0
"""Longer than that a message does not wait in place: its key waits, and others go on."""


class SendRate:
    """Spaces messages evenly, over all threads of a process."""

    def __init__(self, per_s: float, *, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._step_s = 1 / per_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_s = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Wait until a message may be sent.

        Returns:
            0 when it may; else, when that is not within :data:`LONGEST_WAIT_S`, the seconds after which to ask again:
            nothing was taken from the rate.
        """
        with self._lock:
            now_s = self._monotonic()
            at_s = max(self._next_s, now_s)
            if at_s - now_s > LONGEST_WAIT_S:
                return at_s - now_s - LONGEST_WAIT_S
            self._next_s = at_s + self._step_s
        if at_s > now_s:
            self._sleep(at_s - now_s)
        return 0.0
