"""What a run works with, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from producers.snapshot.rows import RowContext
from producers.snapshot.scan import Table
from producers.snapshot.settings import SnapshotSettings
from producers.stream.ports import Clock, Log, Pool
from producers.stream.view import View
from schemas.errors import FatalError


class ReplacedError(FatalError):
    """Another run goes on with the snapshot."""


class NotAdoptedError(FatalError):
    """Not every slot publishes under the snapshot's epoch within the bound."""


class Stage(StrEnum):
    """Where a run stands."""

    TAKING = "taking"
    WAITING = "waiting"
    SCANNING = "scanning"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run works with."""

    settings: SnapshotSettings
    log: Log
    """The snapshot topic, as slot 0 of a log of its own."""
    positions: Log
    """The positions topic, to be read only."""
    view: View
    table: Table
    pool: Pool
    clock: Clock
    rows: RowContext
    partitions: int
    """Of the topic of changes."""
    run_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    stage: Stage
    epoch: int
    rows: int
    """Rows published by all runs of this snapshot, dead letters among them."""
    refused: int
    dropped: int
    units: float
    segments_done: int
    segments: int
    missing_slots: tuple[int, ...]
    """Slots that do not publish under the epoch yet."""
