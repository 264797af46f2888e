"""Every interleaving of scan, change, publish, delete and lost change of one item, against the warehouse's own rule.

One item, its shard in slot 0, and after a roll its child shard in slot 1. What happens in which order is all there is
to choose; each choice is followed to the end. The steps keep the promises that the producer's own tests show: a parent
is published before its child, the scan starts after both slots have raised the epoch, the marker follows the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from connectors.dynamodb import Update
from consumers.warehouse import PickStatus, WarehouseSettings, pick_of, sweep, update_of
from consumers.warehouse.picks import CONDITION
from schemas.change import Op
from schemas.marker import SnapshotMarker
from schemas.version import Version, end_of_epoch_before
from tests.unit.order_changes import change, order

SETTINGS = WarehouseSettings()
MARKER = SnapshotMarker(epoch=2, partition=0, partitions=1, at_ms=5)


@dataclass(frozen=True, slots=True)
class Pick:
    """What the sink has of the item."""

    version: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """All that the next step depends on."""

    writes: tuple[str, ...]
    """What is yet to be written: ``put`` or ``delete``."""
    revision: int = 0
    """Of the item in the table; 0: there is none."""
    written: int = 0
    stream: tuple[tuple[int, int, str, int], ...] = ()
    """Records that are not published: slot, sequence number, op, revision."""
    child: bool = False
    """Whether the shard has rolled: new records belong to the child, in slot 1."""
    epochs: tuple[int, int] = (1, 1)
    lineage: int = 1
    """The epoch of the last record of the parent that was published."""
    scanned: int = -1
    """The revision that the scan saw, 0 for none; -1 before it."""
    row: bool = False
    marker: bool = False
    lost: bool = False
    pick: Pick = Pick()


def apply(pick: Pick, update: Update, condition: str) -> Pick:
    """What DynamoDB makes of a conditional update, for the conditions that the warehouse has."""
    values: Any = update.values
    assert update.condition == condition
    if condition == CONDITION:
        if pick.version and not pick.version < values[":version"]["S"]:
            return pick
        return Pick(values[":version"]["S"], values[":pick"]["S"])
    if pick.status == PickStatus.OPEN and pick.version < values[":floor"]["S"]:
        return Pick(values[":end"]["S"], values[":cancelled"]["S"])
    return pick


@cache
def change_update(op: Op, sequence: int, epoch: int, revision: int) -> Update:
    """The warehouse's own write for a change or a row."""
    before = order("paid", revision) if op is not Op.CREATE else None
    after = None if op is Op.DELETE else order("paid", revision)
    made = change(op, before, after, sequence=sequence, epoch=epoch)
    return update_of(pick_of(made, SETTINGS), made, now_ms=1, keep_history=0)


@cache
def sweep_update() -> Update:
    """The warehouse's own write at the end of a snapshot."""
    floor, end = Version(MARKER.epoch, 0).to_text(), end_of_epoch_before(MARKER.epoch).to_text()
    return sweep._cancel(MARKER, floor, end, 1)


def steps(world: World, *, scan_early: bool = False, flat: bool = False) -> Iterator[World]:
    """Every world that can come next; the named faults are for showing that the test has teeth."""
    if world.writes:
        yield write(world)
    if not world.child:
        yield replace(world, child=True)
    for slot in (0, 1):
        if world.epochs[slot] == 1:
            epochs = (2, world.epochs[1]) if slot == 0 else (world.epochs[0], 2)
            yield replace(world, epochs=epochs)
    if world.stream:
        yield publish(world, flat=flat)
        # a lost change is told as a gap before its slot raises the epoch: later ones ask for another snapshot
        if world.epochs[world.stream[0][0]] == 1 and world.lineage == 1 and not world.scanned >= 0:
            yield replace(world, stream=world.stream[1:], lost=True)
    if world.scanned < 0 and (scan_early or world.epochs == (2, 2)):
        yield replace(world, scanned=world.revision)
    if world.scanned >= 0 and not world.row:
        row = change_update(Op.READ, 0, 2, world.scanned) if world.scanned else None
        yield replace(world, row=True, pick=apply(world.pick, row, CONDITION) if row else world.pick)
    if world.row and not world.marker:
        swept = sweep_update()
        yield replace(world, marker=True, pick=apply(world.pick, swept, swept.condition))


def write(world: World) -> World:
    """The table's next write, and its record in the stream."""
    kind, rest = world.writes[0], world.writes[1:]
    if kind == "delete" and not world.revision:
        return replace(world, writes=rest)
    op = "d" if kind == "delete" else ("u" if world.revision else "c")
    revision = 0 if kind == "delete" else world.revision + 1
    record = (1 if world.child else 0, world.written + 1, op, revision or world.revision)
    return replace(world, writes=rest, revision=revision, written=world.written + 1, stream=(*world.stream, record))


def publish(world: World, *, flat: bool = False) -> World:
    """The stream's next record, under the epoch of its slot, never below its parent's."""
    (slot, sequence, op, revision), rest = world.stream[0], world.stream[1:]
    epoch = world.epochs[slot] if flat else max(world.epochs[slot], world.lineage)
    update = change_update(Op(op), sequence, epoch, revision)
    return replace(world, stream=rest, lineage=max(world.lineage, epoch), pick=apply(world.pick, update, CONDITION))


def wrong_ends(*writes: str, **faults: bool) -> tuple[int, list[World]]:
    """How many worlds there are, and the ends in which the sink does not have the table's state."""
    seen: set[World] = set()
    todo, wrong = [World(writes)], []
    while todo:
        world = todo.pop()
        if world in seen:
            continue
        seen.add(world)
        nexts = list(steps(world, **faults))
        todo += nexts
        if not nexts and (world.pick.status == PickStatus.OPEN) != bool(world.revision):
            wrong.append(world)
    return len(seen), wrong


LIVES = [
    ("put", "put", "delete"),
    ("put", "delete", "put"),
    ("put", "delete", "put", "delete"),
    ("put", "put", "put"),
    ("put", "delete"),
]


@pytest.mark.parametrize("life", LIVES, ids="-".join)
def test_the_sink_ends_with_the_tables_state(life: tuple[str, ...]) -> None:
    """In every interleaving: no deleted item stays, no living one is missing, whatever was lost in the gap."""
    worlds, wrong = wrong_ends(*life)
    assert worlds > 300
    assert wrong == []


@pytest.mark.parametrize("life", LIVES, ids="-".join)
def test_the_newest_change_is_the_sinks(life: tuple[str, ...]) -> None:
    """In every interleaving, versions only grow: nothing older ever replaces what is newer."""
    seen: set[World] = set()
    todo = [World(life)]
    while todo:
        world = todo.pop()
        if world in seen:
            continue
        seen.add(world)
        nexts = list(steps(world))
        todo += nexts
        for following in nexts:
            assert following.pick.version >= world.pick.version


@pytest.mark.parametrize("fault", ["scan_early", "flat"])
def test_a_broken_promise_shows(fault: str) -> None:
    """A scan before both slots raised the epoch, a child under a lower epoch than its parent: some end is wrong."""
    assert any(wrong_ends(*life, **{fault: True})[1] for life in LIVES)
