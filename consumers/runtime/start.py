"""Where a newly assigned partition is read from. Pure: what the cluster said goes in, one decision comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.errors import FatalError

BY_REPLAY: Final = "`feed replay` brings them back from the archive; nothing was skipped or committed"
"""What to do about a lapse where the sink takes replays."""


class LapsedError(FatalError):
    """Retention deleted records that the group has not read: going on would lose them silently."""


@dataclass(frozen=True, slots=True)
class Start:
    """The decision for one partition."""

    offset: int
    commit: bool
    """True for a group that never committed here: the offset is committed at once, so that the next start knows it."""


def start_of(partition: str, committed: int | None, low: int, high: int) -> Start:
    """Decide where the group stands.

    Whether retention was faster is not asked here: a sink that keeps its place itself may be further than the commit
    that a crash cut off. Where it answers to read from is judged by :func:`check_range`.

    Args:
        partition: its name, for the message.
        committed: the group's committed offset; None when there is none.
        low: the earliest offset the partition still has.
        high: its end.

    Raises:
        FatalError: the commit lies behind the end; going on anywhere would lose or repeat records silently.
    """
    if committed is None:
        return Start(low, commit=True)
    _check_end(partition, committed, high)
    return Start(committed, commit=False)


def check_range(partition: str, offset: int, low: int, high: int) -> None:
    """Refuse an offset that the partition does not have.

    Raises:
        LapsedError: it lies before the earliest.
        FatalError: it lies behind the end.
    """
    if offset < low:
        raise LapsedError(
            f"gap on {partition}: this group is at offset {offset}, but the topic begins at {low}; "
            f"up to {low - offset} records were deleted by retention before it read them",
            hint=BY_REPLAY,
        )
    _check_end(partition, offset, high)


def _check_end(partition: str, offset: int, high: int) -> None:
    if offset > high:
        raise FatalError(
            f"{partition} ends at {high}, but this group is at offset {offset}: "
            f"the topic was made anew or lost its end",
            hint="find out which; `feed replay` moves the group once that is known; nothing was skipped or committed",
        )
