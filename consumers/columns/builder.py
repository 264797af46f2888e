"""Records on their way into a file: columns in memory, with a known size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from consumers.columns.stored import HEADER, SCHEMA
from consumers.runtime.contracts import Record

CHUNK_RECORDS: Final = 512
"""Records kept as Python objects before they become Arrow columns, which take about a fifth of the memory."""

RECORD_OVERHEAD_BYTES: Final = 2_500
"""What a record with a dozen headers takes as Python objects, besides its key and value (measured: 2.1 to 2.6 KB)."""


class RecordColumns:
    """The records of one future file, offsets ascending."""

    def __init__(self) -> None:
        self._pending: list[Record] = []
        self._pending_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._batch_bytes = 0
        self._count = 0
        self.first = -1
        """Offset of the first record, -1 while there is none."""
        self.last = -1
        """Offset of the last record, -1 while there is none."""

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of memory held, about."""
        return self._pending_bytes + self._batch_bytes

    def extend(self, records: Sequence[Record]) -> None:
        """Take records; their offsets must ascend, and lie above what is here already."""
        if not records:
            return
        if self.first < 0:
            self.first = records[0].offset()
        self.last = records[-1].offset()
        self._pending.extend(records)
        self._count += len(records)
        self._pending_bytes += RECORD_OVERHEAD_BYTES * len(records) + sum(len(r.value() or b"") for r in records)
        if len(self._pending) >= CHUNK_RECORDS:
            self._compact()

    def drop_through(self, offset: int) -> None:
        """Forget the records up to and with ``offset``: another writer has stored them."""
        rest = self.table()
        rest = rest.slice(_count_through(rest, offset))
        self._batches = rest.to_batches() if rest.num_rows else []
        self._batch_bytes = sum(batch.get_total_buffer_size() for batch in self._batches)
        self._count = rest.num_rows
        self.first = rest.column("offset")[0].as_py() if rest.num_rows else -1
        self.last = rest.column("offset")[-1].as_py() if rest.num_rows else -1

    def table(self) -> pa.Table:
        """All records as one table with :data:`~consumers.columns.stored.SCHEMA`."""
        self._compact()
        return pa.Table.from_batches(self._batches, schema=SCHEMA)

    def _compact(self) -> None:
        if not self._pending:
            return
        batch = _batch_of(self._pending)
        self._batches.append(batch)
        self._batch_bytes += batch.nbytes
        self._pending = []
        self._pending_bytes = 0


def rows_after(table: pa.Table, offset: int) -> pa.Table:
    """The rows of ``table`` that lie above ``offset``."""
    return table.slice(_count_through(table, offset))


def _count_through(table: pa.Table, offset: int) -> int:
    below: pa.Table = table.filter(pc.less_equal(table.column("offset"), pa.scalar(offset, pa.int64())))
    return below.num_rows


def _batch_of(records: Sequence[Record]) -> pa.RecordBatch:
    headers = [record.headers() or [] for record in records]
    facts = [dict(pairs) for pairs in headers]
    stamps = [record.timestamp() for record in records]
    ordinals = [fact.get("ce_ordinal") for fact in facts]
    columns: list[pa.Array[Any]] = [
        pa.array([record.offset() for record in records], pa.int64()),
        pa.array([at_ms for _, at_ms in stamps], pa.int64()),
        pa.array([kind for kind, _ in stamps], pa.int8()),
        pa.array([record.key() for record in records], pa.binary()),
        pa.array([record.value() for record in records], pa.binary()),
        _list_of(headers),
        _text([fact.get("ce_id") for fact in facts]),
        _text([fact.get("ce_shard") for fact in facts]),
        pa.array([_number(text) for text in ordinals], pa.int64()),
        _text([_op_of(fact.get("ce_type")) for fact in facts]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _list_of(headers: Sequence[Sequence[tuple[str, bytes]]]) -> pa.Array[Any]:
    """All headers as one list column, from flat arrays: faster than from a list of lists."""
    pairs = list(chain.from_iterable(headers))
    offsets = pa.array([0, *accumulate(map(len, headers))], pa.int32())
    names = pa.array([name for name, _ in pairs], pa.string())
    values = pa.array([value for _, value in pairs], pa.binary())
    flat = pa.StructArray.from_arrays([names, values], fields=list(HEADER))
    column: pa.Array[Any] = pa.ListArray.from_arrays(offsets, flat)
    return column


def _text(values: list[bytes | None]) -> pa.Array[Any]:
    """UTF-8 text, null where a header is absent or is no text."""
    try:
        return pa.array(values, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value.decode(errors="replace") if value is not None else None for value in values])


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) <= 18 else None  # 18 digits fit 64 bits


def _op_of(kind: bytes | None) -> bytes | None:
    """The op is the last part of the event's type: ``orders.order.u`` → ``u``."""
    return kind.rpartition(b".")[2] if kind is not None else None
