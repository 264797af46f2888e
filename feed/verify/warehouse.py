"""The data warehouse as evidence: its history holds every change once, its current state the last of each order.

Rows are typed columns, so the item is built back from them, field by field of the image schema, and judged by its
digest like
any other copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson

from connectors.redshift import Redshift
from consumers.analytics.tables import Tables, quoted
from feed.verify.evidence import NOT_KEPT, Place, Seen, UnreadableRecord
from feed.workload.digest import image_digest
from schemas.attributes import Attribute
from schemas.change import Image, Op

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ToItem = Callable[[Image], Mapping[str, Attribute]]
"""From an image to its item (``ChangeCodec.image_to_dynamodb``)."""


class HistoryEvidence:
    """The history table: a partition of the topic at a time, so that memory is bounded by the largest of them."""

    def __init__(self, place: Place, redshift: Redshift, tables: Tables, rows: RowReader) -> None:
        self.place = place
        self._redshift, self._tables, self._rows = redshift, tables, rows

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """Every row. A delete has no image: its number follows from the row before it."""
        history = self._tables.history
        partitions = self._redshift.query(
            f"SELECT DISTINCT feed_partition AS number FROM {history} ORDER BY number"  # noqa: S608 - our own names
        )
        names = ", ".join(quoted(column.name) for column in self._tables.history_columns)
        for partition in partitions:
            number, last = 0, ""
            rows = self._redshift.query(
                f"SELECT {names} FROM {history} WHERE feed_partition = {int(partition['number'])} "  # noqa: S608 - ours
                "ORDER BY feed_key, feed_version"
            )
            for row in rows:
                order = row["feed_key"]
                before = number if order == last else 0
                seen = self._rows.read(row, before)
                number, last = seen.number, order
                yield seen


class CurrentEvidence:
    """The current state: one row for each order, of its last change."""

    def __init__(self, place: Place, redshift: Redshift, tables: Tables, rows: RowReader) -> None:
        self.place = place
        self._redshift, self._tables, self._rows = redshift, tables, rows

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """Every row. A delete's number is one more than that of the change before it in the history."""
        current, history = self._tables.current, self._tables.history
        names = ", ".join(f"{current}.{quoted(column.name)}" for column in self._tables.current_columns)
        rows = self._redshift.query(
            f"SELECT {names}, {current}.feed_deleted AS feed_deleted, "  # noqa: S608 - our own names
            f"(SELECT MAX(revision) FROM {history} WHERE {history}.feed_key = {current}.feed_key "
            f"AND {history}.feed_version < {current}.feed_version) AS feed_before FROM {current}"
        )
        for row in rows:
            seen = self._rows.read(row, int(row["feed_before"] or 0))
            if bool(row["feed_deleted"]) != (seen.op is Op.DELETE):
                yield UnreadableRecord(f"current row of {seen.order}", "feed_deleted does not fit feed_op")
            # a row of a snapshot is as good a last state as the change that it repeats
            yield seen._replace(op=None) if seen.op is Op.READ else seen


class RowReader:
    """Builds the item back from a row."""

    def __init__(self, tables: Tables, schema: Mapping[str, Any], to_item: ToItem) -> None:
        self._to_item = to_item
        types = {field["name"]: field["type"] for field in schema["fields"]}
        self._columns = [(column.name, column.source, types[column.source]) for column in tables.image]

    def read(self, row: Mapping[str, Any], before: int) -> Seen:
        """A row as a change; ``before`` is the number of the change before it, for a delete."""
        op = Op(row["feed_op"])
        where = f"row {row['feed_event_id']}"
        ordinal = int(row["feed_ordinal"]) if row.get("feed_ordinal") is not None else NOT_KEPT
        number, after = before + 1, 0
        if op is not Op.DELETE:
            image = {source: value_of(kind, row[name]) for name, source, kind in self._columns}
            number, after = int(image["revision"]), image_digest(self._to_item(image))
        shard = str(row.get("feed_shard") or "")
        return Seen(row["feed_key"], number, op, after, None, row["feed_event_id"], shard, ordinal, 0, where)


def value_of(kind: Any, cell: Any) -> Any:
    """The inverse of :mod:`consumers.analytics.columns`: a cell as the image's value."""
    if isinstance(kind, list):
        inner = next(branch for branch in kind if branch != "null")
        return None if cell is None else value_of(inner, cell)
    logical = kind.get("logicalType", "") if isinstance(kind, Mapping) else ""
    base = kind["type"] if isinstance(kind, Mapping) else kind
    if logical == "decimal":
        return Decimal(str(cell))
    if logical == "timestamp-millis":
        return (datetime.fromisoformat(cell).replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    if base in {"array", "map", "record"}:
        return _nested(kind, orjson.loads(cell) if cell is not None else ({} if base == "map" else []))
    return cell


def _nested(kind: Any, value: Any) -> Any:
    """Inside JSON text: decimals are text there, everything else is what it is."""
    if isinstance(kind, list):
        return None if value is None else _nested(next(branch for branch in kind if branch != "null"), value)
    if not isinstance(kind, Mapping):
        return value
    if kind.get("logicalType") == "decimal":
        return Decimal(str(value))
    if kind["type"] == "array":
        return [_nested(kind["items"], part) for part in value]
    if kind["type"] == "map":
        return {name: _nested(kind["values"], part) for name, part in value.items()}
    if kind["type"] == "record":
        return {field["name"]: _nested(field["type"], value[field["name"]]) for field in kind["fields"]}
    return value
