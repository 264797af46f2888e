"""Where reading begins or goes on: a new iterator is AFTER what was read, else AFTER what was saved, else the start.

Never AT_SEQUENCE_NUMBER (it repeats a record) and never LATEST (it skips what came between): a feed that shall start
with what is new records the time once, and reads from the trim horizon without what is older.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LATEST = "latest@"
TIME_GRAIN_MS = 60_000
"""Creation times are cut: to seconds on AWS, to minutes on DynamoDB Local. What falls into the grain is kept."""


@dataclass(frozen=True, slots=True)
class IteratorSpec:
    """The arguments of GetShardIterator."""

    kind: Literal["AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON"]
    sequence: int | None = None


def first_iterator(read: int | None, saved: int | None, *, trimmed: bool = False) -> IteratorSpec:
    """The iterator for a shard of which ``read`` was read and ``saved`` is saved (sequence numbers, None: nothing).

    ``trimmed`` is true when what comes after ``saved`` is known to be trimmed, and a gap event says so.
    """
    after = read if read is not None else saved
    if after is None or (trimmed and read is None):
        return IteratorSpec("TRIM_HORIZON")
    return IteratorSpec("AFTER_SEQUENCE_NUMBER", after)


def latest_start(now_ms: int) -> str:
    """The recorded form of "start with what is new now"."""
    return f"{LATEST}{now_ms}"


def latest_cut_ms(start: str) -> int:
    """Records created before this time are left out; 0 when ``start`` leaves nothing out."""
    if not start.startswith(LATEST):
        return 0
    return int(start.removeprefix(LATEST)) // TIME_GRAIN_MS * TIME_GRAIN_MS
