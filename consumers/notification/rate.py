"""Keeps to the provider's rate."""

from __future__ import annotations

import threading
from collections.abc import Callable

from schemas.errors import RetryableError

LONGEST_WAIT_S = 1.0
"""Longer than that a message does not wait in place: its key is parked, and others go on."""


class SendRate:
    """Spaces messages evenly, over all threads of a process."""

    def __init__(self, per_s: float, *, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._step_s = 1 / per_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_s = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when a message may be sent.

        Raises:
            RetryableError: not within :data:`LONGEST_WAIT_S`; nothing was taken from the rate.
        """
        with self._lock:
            now_s = self._monotonic()
            at_s = max(self._next_s, now_s)
            if at_s - now_s > LONGEST_WAIT_S:
                raise RetryableError(
                    f"{(at_s - now_s) / self._step_s:.0f} messages wait for their turn, {1 / self._step_s:g} a second",
                    hint="raise rate_per_s if the provider allows it",
                )
            self._next_s = at_s + self._step_s
        if at_s > now_s:
            self._sleep(at_s - now_s)
