"""When dead letters stop being about records and start being about us."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from schemas.errors import FatalError

_SLICES = 60
"""The window is counted in this many slices, so its memory is bounded whatever the rate."""


@dataclass(frozen=True, slots=True)
class PoisonLimit:
    """How much poison is normal: at most ``share`` of the records of a window, and never alarm below ``at_least``."""

    window_ms: int
    share: float
    at_least: int


class PoisonWindow:
    """Counts records and poison over a sliding window; a bad deploy must not drain a topic into the dead letters."""

    def __init__(self, limit: PoisonLimit) -> None:
        self._limit = limit
        self._slice_ms = max(1, limit.window_ms // _SLICES)
        self._slices: deque[list[int]] = deque()  # [slice number, records, poison]
        self._records = 0
        self._poison = 0

    def count(self, now_ms: int, *, records: int = 0, poison: int = 0) -> None:
        """Add what happened just now; ``records`` includes the poison among them."""
        number = now_ms // self._slice_ms
        if not self._slices or self._slices[-1][0] < number:
            self._slices.append([number, 0, 0])
        newest = self._slices[-1]  # a clock that steps back counts into the newest slice
        newest[1] += records
        newest[2] += poison
        self._records += records
        self._poison += poison
        while self._slices[0][0] <= newest[0] - _SLICES:
            _, old_records, old_poison = self._slices.popleft()
            self._records -= old_records
            self._poison -= old_poison

    def check(self, last: Exception) -> None:
        """Called after each poison record was counted.

        Raises:
            FatalError: the share is past the limit.
        """
        limit, poison, records = self._limit, self._poison, max(self._records, self._poison)
        if poison >= limit.at_least and poison > limit.share * records:
            raise FatalError(
                f"{poison} of the last {records} records were poison, more than {limit.share:.0%} within "
                f"{limit.window_ms / 1000:.0f} s; the last one: {last}",
                hint="look at the dead letters and at what was deployed last; the records after them wait untouched",
            )
