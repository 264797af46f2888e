"""Where a newly assigned partition is read from. Pure: what the cluster said goes in, one decision comes out."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import FatalError


class LapsedError(FatalError):
    """Retention deleted records that the group has not read: going on would lose them silently."""


@dataclass(frozen=True, slots=True)
class Start:
    """The decision for one partition."""

    offset: int
    commit: bool
    """True for a group that never committed here: the offset is committed at once, so that the next start knows it."""


def start_of(partition: str, committed: int | None, low: int, high: int) -> Start:
    """Decide the offset to read from.

    Args:
        partition: its name, for the message.
        committed: the group's committed offset; None when there is none.
        low: the earliest offset the partition still has.
        high: its end.

    Raises:
        LapsedError: the committed offset lies before the earliest that is left.
        FatalError: it lies behind the end; going on anywhere would lose or repeat records silently.
    """
    if committed is None:
        return Start(low, commit=True)
    check_range(partition, committed, low, high)
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
            hint="`feed replay` brings them back from the archive; nothing was skipped or committed",
        )
    if offset > high:
        raise FatalError(
            f"{partition} ends at {high}, but this group is at offset {offset}: "
            f"the topic was made anew or lost its end",
            hint="find out which; `feed replay` moves the group once that is known; nothing was skipped or committed",
        )
