"""Changes on their way into the warehouse: typed rows of one partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from consumers.analytics.columns import FEED_COLUMNS, Column
from schemas.change import Change
from schemas.key import key_text

CHUNK_ROWS: Final = 512
"""Rows kept as Python objects before they become Arrow columns."""

ROW_OVERHEAD_BYTES: Final = 2_000
"""What a row takes as Python objects, about."""

Row = tuple[Any, ...]


class RowShape:
    """How a change becomes a row: the feed's columns, then the image's."""

    def __init__(self, image: Sequence[Column]) -> None:
        self.columns: tuple[Column, ...] = (*FEED_COLUMNS, *image)
        fields: list[pa.Field[Any]] = [pa.field(column.name, column.arrow) for column in self.columns]
        self.schema = pa.schema(fields)
        self._plan = tuple((column.name, column.source, column.convert, column.max_bytes) for column in image)
        self._nulls = (None,) * len(image)

    def row_of(self, change: Change, partition: int, offset: int) -> Row:
        """The row of one change; of a deleted item the image's columns are null."""
        source = change.source
        cells, too_long = self._cells_of(change.after) if change.after is not None else (self._nulls, None)
        return (
            source.event_id,
            str(change.op),
            key_text(change.key),
            change.version.to_text(),
            source.shard,
            source.ordinal,
            change.occurred_at_ms * 1000,
            change.captured_at_ms * 1000,
            partition,
            offset,
            too_long,
            *cells,
        )

    def table_of(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Rows as columns."""
        arrays = [
            pa.array([row[position] for row in rows], type=column.arrow) for position, column in enumerate(self.columns)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _cells_of(self, image: Any) -> tuple[tuple[Any, ...], str | None]:
        cells: list[Any] = []
        too_long: list[str] = []
        for name, source, convert, max_bytes in self._plan:
            value = image.get(source)
            if value is not None and convert is not None:
                value = convert(value)
            if max_bytes and value is not None and len(value) * 4 > max_bytes and len(value.encode()) > max_bytes:
                too_long.append(name)
                value = None
            cells.append(value)
        return tuple(cells), ",".join(too_long) or None


class Rows:
    """The rows of one partition that wait for a load, offsets ascending."""

    def __init__(self, shape: RowShape) -> None:
        self._shape = shape
        self._pending: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._batch_bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory held, about."""
        return self._batch_bytes + ROW_OVERHEAD_BYTES * len(self._pending)

    def extend(self, rows: Sequence[Row]) -> None:
        """Take rows."""
        self._pending.extend(rows)
        self._count += len(rows)
        if len(self._pending) >= CHUNK_ROWS:
            self._compact()

    def take(self) -> pa.Table:
        """Hand out all rows as one table, and be empty."""
        self._compact()
        table = pa.Table.from_batches(self._batches, schema=self._shape.schema)
        self._batches, self._batch_bytes, self._count = [], 0, 0
        return table

    def _compact(self) -> None:
        if self._pending:
            batch = self._shape.table_of(self._pending)
            self._batches.append(batch)
            self._batch_bytes += batch.nbytes
            self._pending = []


def from_offset(rows: pa.Table, offset: int) -> pa.Table:
    """The rows at or above ``offset``."""
    kept: pa.Table = rows.filter(pc.greater_equal(rows.column("feed_offset"), pa.scalar(offset, pa.int64())))
    return kept
