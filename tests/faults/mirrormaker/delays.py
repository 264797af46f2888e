"""What the delays of a region say: outside faults, and how soon after each fault it had caught up. Pure."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

USUAL_S = 0.5
"""A record that is readable so soon is no longer one of a backlog."""


@dataclass(frozen=True)
class Window:
    """A fault: what, in which region, and from when to when, in seconds since the epoch."""

    what: str
    region: str
    begins: float
    ends: float


class Delays:
    """Produced and received times of every record of a region."""

    def __init__(self, times: Sequence[float]) -> None:
        pairs = sorted(zip(times[::2], times[1::2], strict=True))
        self._produced = [produced for produced, _ in pairs]
        self._received = [received for _, received in pairs]
        # the latest receipt of any record produced up to this one
        self._complete = list(self._received)
        for index in range(1, len(self._complete)):
            self._complete[index] = max(self._complete[index], self._complete[index - 1])

    @classmethod
    def read(cls, file: Path) -> Delays:
        """From the reader's file."""
        times = array("d")
        times.frombytes(file.read_bytes())
        return cls(times)

    def caught_up_after(self, at: float) -> float:
        """Seconds from ``at`` until all that was produced before was readable and new records come in usual time."""
        index = bisect_right(self._produced, at)
        done = self._complete[index - 1] if index else at
        while index < len(self._produced) and self._received[index] - self._produced[index] > USUAL_S:
            done = max(done, self._received[index])
            index += 1
        return max(0.0, done - at)

    def outside(self, windows: Sequence[Window], since: float = 0.0) -> list[float]:
        """Delays of records that were under way in no window, and not produced before ``since``; in seconds, sorted."""
        return sorted(
            received - produced
            for produced, received in zip(self._produced, self._received, strict=True)
            if produced >= since
            and not any(received >= window.begins and produced <= window.ends for window in windows)
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted values, nearest rank; NaN of none."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
