"""From a table of archived records to rows that can be put in order. Pure.

An archived table has the columns ``timestamp_ms``, ``timestamp_type``, ``key``, ``value``, ``headers`` (a list of
``name`` and ``value``), ``event_id`` and ``op``: what the archive's files hold. A row has what is sent, where to, and
its *place*: a text whose order is the order of the replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.headers import Facts, facts_of
from schemas.marker import SnapshotMarker, marker_of
from schemas.partitioner import partition_of_key
from schemas.version import EPOCH_DIGITS, SEQUENCE_DIGITS, Version

CREATE_TIME: Final = 1
"""The timestamp type of records that bear their event's time."""

END_OF_SNAPSHOT: Final = "end of a snapshot"
"""What counts tell of a replayed end marker, where a change has its op."""

HOUR_MS: Final = 3_600_000

_NAME_AND_VALUE: Final[list[pa.Field[Any]]] = [pa.field("name", pa.string()), pa.field("value", pa.binary())]

_FIELDS: Final[list[pa.Field[Any]]] = [
    pa.field("place", pa.string(), nullable=False),
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("key", pa.binary()),
    pa.field("value", pa.binary()),
    pa.field("headers", pa.list_(pa.struct(_NAME_AND_VALUE))),
]

ROWS: Final = pa.schema(_FIELDS)
"""A row: its place in the order, the partition it goes to, and the record byte for byte."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which archived records a replay is of."""

    from_ms: int
    """Changes that happened from this time on,"""
    to_ms: int
    """and before this one."""
    key: bytes | None = None
    """Only this key's; None for all."""
    epochs: frozenset[int] = frozenset()
    """Snapshots whose rows the range has from the first on: their end markers are replayed."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The rows of one archived table, and what is counted of them."""

    rows: pa.Table
    ops: pa.Array[Any]
    hours: pa.Array[Any]
    """Hours of event time since the epoch, for each change."""
    no_changes: int
    """Records in the range that are not replayed: they are no changes of a feed, nor the end of a snapshot in it."""


def place_of(version: Version, event_id: str) -> str:
    """The place of a change: by version; changes of one version (rows of a first load) by event id."""
    return f"{version.to_text()}.{event_id}"


def place_of_marker(marker: SnapshotMarker) -> str:
    """The place of a snapshot's end marker: behind its rows, before the changes of its epoch.

    There it says what it said on the topic: an item that neither has a row nor was changed in an older epoch's stead is
    gone. The changes of the epoch itself, some of which stood before it, follow, and count more than any sweep.
    """
    return place_of(Version(marker.epoch, 0), marker.event_id)


def place_of_headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """The place of a replayed record."""
    marker = marker_of(None, None, headers)
    return place_of_facts(facts_of(headers)) if marker is None else place_of_marker(marker)


def place_of_facts(facts: Facts) -> str:
    """The place of a change, from what its headers say."""
    return place_of(facts.version, facts.event_id)


def select(table: pa.Table, selection: Selection, partitions: int) -> Selected:
    """The rows of an archived table that a replay sends to a topic of so many partitions."""
    batch = table.combine_chunks()
    times = _event_times(batch)
    wanted = pc.and_(
        pc.greater_equal(times, pa.scalar(selection.from_ms, pa.int64())),
        pc.less(times, pa.scalar(selection.to_ms, pa.int64())),
    )
    if selection.key is not None:
        wanted = pc.and_(wanted, pc.equal(batch.column("key"), pa.scalar(selection.key, pa.binary())))
    batch, times = batch.filter(wanted), times.filter(wanted)
    places = _places(batch)
    changes = pc.and_(pc.is_valid(places), pc.is_valid(batch.column("key")))
    no_changes = batch.num_rows - int(pc.sum(changes).as_py() or 0)
    ends = None
    if no_changes:
        ends = _ends_of_snapshots(batch.filter(pc.invert(changes)), selection.epochs, partitions)
        batch, times, places = batch.filter(changes), times.filter(changes), places.filter(changes)
    keys = batch.column("key")
    columns = [places, _partitions(keys, partitions), keys, batch.column("value"), batch.column("headers")]
    rows = pa.Table.from_arrays([_array(c).cast(f.type) for c, f in zip(columns, ROWS, strict=True)], schema=ROWS)
    hours = pc.divide(times, pa.scalar(HOUR_MS, pa.int64()))
    found = Selected(rows, _array(batch.column("op")), _array(hours), no_changes)
    return found if ends is None else _with_ends(found, ends)


def _ends_of_snapshots(others: pa.Table, epochs: frozenset[int], partitions: int) -> pa.Table | None:
    """The end markers that are replayed, as rows; None when there are none.

    One that counts another number of partitions says of its partition's rows what no partition of the replay can say:
    they are spread over several now, and only within one is there an order.
    """
    found: list[dict[str, Any]] = []
    for row in others.select(["key", "value", "headers"]).to_pylist():
        marker = marker_of(row["key"], row["value"], [(each["name"], each["value"]) for each in row["headers"] or ()])
        if marker is not None and marker.epoch in epochs and marker.partitions == partitions:
            found.append({**row, "place": place_of_marker(marker), "partition": marker.partition})
    return pa.Table.from_pylist(found, schema=ROWS) if found else None


def _with_ends(found: Selected, ends: pa.Table) -> Selected:
    """The same with end markers, which have an op and an hour of their own in the counts."""
    return Selected(
        pa.concat_tables([found.rows, ends]),
        pa.concat_arrays([found.ops.cast(pa.string()), pa.array([END_OF_SNAPSHOT] * ends.num_rows, pa.string())]),
        found.hours,
        found.no_changes - ends.num_rows,
    )


def _places(batch: pa.Table) -> Any:
    """Each record's place, null where its headers are not those of a change."""
    headers = _array(batch.column("headers"))
    epochs: Any = pc.utf8_lpad(_header(headers, "ce_epoch"), EPOCH_DIGITS, "0")
    sequences: Any = pc.utf8_lpad(_header(headers, "ce_sequence"), SEQUENCE_DIGITS, "0")
    dot: Any = pa.scalar(".")
    return pc.binary_join_element_wise(epochs, sequences, _array(batch.column("event_id")), dot)


def _header(headers: pa.Array[Any], name: str) -> pa.Array[Any]:
    """One header of each record as text, null where it has none; of several the last counts."""
    flat = headers.flatten()  # type: ignore[attr-defined]  # the stubs do not tell a list's array
    mine = pc.equal(flat.field("name"), pa.scalar(name))
    rows = pc.list_parent_indices(headers).filter(mine)
    values = flat.field("value").filter(mine)
    everyone = pa.array(range(len(headers)), rows.type)
    if not rows.equals(everyone):
        found = dict(zip(rows.to_pylist(), values.to_pylist(), strict=True))
        values = pa.array([found.get(row) for row in range(len(headers))], pa.binary())
    text: pa.Array[Any] = values.cast(pa.string())
    return text


def _event_times(batch: pa.Table) -> pa.Array[Any]:
    """When each change happened: the record's time, or its header where the broker stamped the arrival instead."""
    stamps, kinds = _array(batch.column("timestamp_ms")), _array(batch.column("timestamp_type"))
    if pc.all(pc.equal(kinds, pa.scalar(CREATE_TIME, kinds.type)), min_count=0).as_py():
        return stamps
    said = _header(_array(batch.column("headers")), "ce_time").to_pylist()
    return pa.array(
        [
            at_ms if kind == CREATE_TIME or text is None else _milliseconds(text)
            for at_ms, kind, text in zip(stamps.to_pylist(), kinds.to_pylist(), said, strict=True)
        ],
        pa.int64(),
    )


@lru_cache(maxsize=4096)
def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _partitions(keys: Any, partitions: int) -> pa.Array[Any]:
    """Each key's partition; a key that comes again is hashed once."""
    coded: Any = _array(keys).dictionary_encode()
    by_code = pa.array([partition_of_key(key, partitions) for key in coded.dictionary.to_pylist()], pa.int32())
    found: pa.Array[Any] = by_code.take(coded.indices)
    return found


def _array(column: Any) -> pa.Array[Any]:
    """A column as one array."""
    whole: pa.Array[Any] = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole
