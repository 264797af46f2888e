"""A load: the rows of all partitions that are due, and where the ledger must stand before and after. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from consumers.analytics.rows import from_offset
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError
from schemas.marker import SnapshotMarker


@dataclass(frozen=True, slots=True)
class Part:
    """One partition's share of a load: it takes the ledger from ``start`` to ``end``."""

    partition: Partition
    start: int
    """The ledger's next offset before the load."""
    end: int
    """The ledger's next offset after it: above the last row, and above what follows it and holds no record."""
    rows: pa.Table
    nbytes: int
    """Memory that the rows take."""
    markers: tuple[tuple[int, SnapshotMarker], ...] = ()
    """Ends of snapshots among the records, with their offsets."""


@dataclass(frozen=True, slots=True)
class Load:
    """One transaction of the warehouse, for any number of partitions."""

    parts: tuple[Part, ...]
    gathered_ms: int
    """When it was made: the ledger keeps it."""
    attempt: int = 0
    """Number of the try, from 0."""

    @property
    def count(self) -> int:
        """Rows of all parts."""
        return sum(part.rows.num_rows for part in self.parts)

    @property
    def occurred_us(self) -> tuple[int, int]:
        """When the first and the last change of its rows occurred, in microseconds since the epoch."""
        spans = [pc.min_max(part.rows.column("feed_occurred_at").cast(pa.int64())) for part in self.parts]
        found = [(span["min"].as_py(), span["max"].as_py()) for span in spans if span["min"].is_valid]
        return min(low for low, _ in found), max(high for _, high in found)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(part.nbytes for part in self.parts)

    def again(self) -> Load:
        """The next try."""
        return replace(self, attempt=self.attempt + 1)

    def without(self, partitions: Sequence[Partition]) -> Load:
        """The load without partitions that are not assigned any more."""
        return replace(self, parts=tuple(part for part in self.parts if part.partition not in partitions))


class Fate(StrEnum):
    """What the ledger says of a load whose answer is bad or lost."""

    LOADED = "loaded"
    """It has committed after all."""
    NOT_LOADED = "not loaded"
    OVERTAKEN = "overtaken"
    """Another loader has moved the ledger: a statement of a former owner that committed late."""


def fate_of(load: Load, ledger: Mapping[Partition, int]) -> Fate:
    """Compare a load with the ledger as it stands now. A partition without a row stands where the load found it."""
    stands = [(part, ledger.get(part.partition, part.start)) for part in load.parts]
    if all(next_offset == part.end for part, next_offset in stands):
        return Fate.LOADED
    if all(next_offset == part.start for part, next_offset in stands):
        return Fate.NOT_LOADED
    return Fate.OVERTAKEN


def after_ledger(load: Load, ledger: Mapping[Partition, int]) -> Load:
    """What remains to be loaded when another loader has moved the ledger.

    Raises:
        FatalError: the ledger went back, which only a person can have done.
    """
    parts: list[Part] = []
    for part in load.parts:
        start = ledger.get(part.partition, part.start)
        if start < part.start:
            raise FatalError(
                f"the warehouse's ledger went back from {part.start} to {start} for partition {part.partition.number}",
                hint="someone restored the warehouse or edited load_ledger: restart the consumer, it reads from there",
            )
        if start < part.end:
            markers = tuple(pair for pair in part.markers if pair[0] >= start)
            parts.append(replace(part, start=start, rows=from_offset(part.rows, start), markers=markers))
    return replace(load.again(), parts=tuple(parts))
