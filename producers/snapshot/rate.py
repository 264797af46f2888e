"""A token bucket for read units. Pure, but for the clock that is passed in."""

from __future__ import annotations

from collections.abc import Callable

BURST_S = 1.0
"""How much may be used at once after a pause: one second's worth."""


class ReadUnits:
    """What a page costs is known only afterwards: so the account may go below zero, and the next page waits."""

    def __init__(self, per_second: float, steady_ms: Callable[[], int]) -> None:
        self._per_second, self._steady_ms = per_second, steady_ms
        self._left = per_second * BURST_S
        self._at_ms = steady_ms()

    def wait_ms(self) -> int:
        """How long to wait before the next page may be asked for."""
        self._refill()
        return 0 if self._left > 0 else int(-self._left / self._per_second * 1_000) + 1

    def use(self, units: float) -> None:
        """A page has cost so many."""
        self._refill()
        self._left -= units

    def _refill(self) -> None:
        now = self._steady_ms()
        passed_s, self._at_ms = (now - self._at_ms) / 1_000, now
        self._left = min(self._per_second * BURST_S, self._left + passed_s * self._per_second)
