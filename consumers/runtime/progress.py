"""Health means progress. The rules are Burrow's, over a window of samples of one partition; pure.

Source: LinkedIn's Burrow, "Consumer Lag Evaluation Rules". Differences: we see our own process, so *stop* means that
the loop gave no sample, and a partition with nothing to do is fine however long it lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Progress(StrEnum):
    """What a window of samples says about a partition."""

    OK = "ok"
    BEHIND = "behind"
    """It commits, but its lag has grown in every sample: slow, not ill."""
    STALL = "stall"
    """There is lag, and not one offset was committed over the whole window."""
    STOP = "stop"
    """The loop itself has given no sample for as long as the window."""
    REWIND = "rewind"
    """The committed offset went backwards: somebody reset the group, or two members share a partition."""

    @property
    def healthy(self) -> bool:
        """False when somebody must look."""
        return self in {Progress.OK, Progress.BEHIND}


@dataclass(frozen=True, slots=True)
class Sample:
    """A partition at one moment."""

    at_ms: int
    committed: int
    lag: int
    """Records (and markers) between the committed offset and the end."""


def judge(samples: Sequence[Sample], now_ms: int, window_ms: int) -> Progress:
    """Judge a partition by its samples, oldest first.

    Args:
        samples: at least those of the last ``window_ms``; older ones are looked at for rewinds only.
        now_ms: the time of judging.
        window_ms: how long a partition with lag may stand still.
    """
    if not samples:
        return Progress.OK
    if now_ms - samples[-1].at_ms > window_ms:
        return Progress.STOP
    steps = list(pairwise(samples))
    if any(later.committed < earlier.committed for earlier, later in steps):
        return Progress.REWIND
    watched_whole_window = samples[-1].at_ms - samples[0].at_ms >= window_ms
    if not watched_whole_window or any(sample.lag == 0 for sample in samples):
        return Progress.OK
    if samples[0].committed == samples[-1].committed:
        return Progress.STALL
    return Progress.BEHIND if all(later.lag > earlier.lag for earlier, later in steps) else Progress.OK
