"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_MAX_DOUBLINGS = 30
"""2^30 times any base is beyond every cap; a shift by the attempt itself would grow without bound."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with equal jitter: never shorter than half of what it would be without jitter.

    Source: "Exponential Backoff And Jitter" (AWS Architecture Blog); the lower half keeps a dead dependency from being
    asked again at once.
    """

    base_ms: int
    cap_ms: int

    def delay_ms(self, attempt: int, random: Callable[[], float]) -> int:
        """The wait after the failed ``attempt`` (from 1); ``random`` gives a number from 0 to below 1."""
        whole = min(self.cap_ms, self.base_ms << min(attempt - 1, _MAX_DOUBLINGS))
        return max(1, round(whole / 2 + random() * whole / 2))
