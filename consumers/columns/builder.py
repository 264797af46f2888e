"""Records on their way into a file: columns in memory, with a known size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from consumers.columns.stored import HEADER, SCHEMA
from consumers.runtime.contracts import Record

CHUNK_RECORDS: Final = 256
"""Records kept as Python objects before they become Arrow columns, which take about a fifth of the memory."""

REPEATS: Final = 8 * CHUNK_RECORDS
"""Records whose header names are one piece of memory, however many batches have them."""

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

    def compact(self) -> None:
        """Turn what is still Python objects into columns, which take about a fifth of the memory."""
        self._compact()

    def table(self) -> pa.Table:
        """All records as one table with :data:`~consumers.columns.stored.SCHEMA`."""
        self._compact()
        return pa.Table.from_batches(self._batches, schema=SCHEMA)

    def _compact(self) -> None:
        if not self._pending:
            return
        batch, shared_bytes = _batch_of(self._pending)
        self._batches.append(batch)
        self._batch_bytes += batch.nbytes - shared_bytes
        self._pending = []
        self._pending_bytes = 0


def rows_after(table: pa.Table, offset: int) -> pa.Table:
    """The rows of ``table`` that lie above ``offset``."""
    return table.slice(_count_through(table, offset))


def _count_through(table: pa.Table, offset: int) -> int:
    below: pa.Table = table.filter(pc.less_equal(table.column("offset"), pa.scalar(offset, pa.int64())))
    return below.num_rows


def _batch_of(records: Sequence[Record]) -> tuple[pa.RecordBatch, int]:
    """The columns of some records, and how many of their bytes are shared with other batches."""
    headers = _headers_of([record.headers() or [] for record in records])
    stamps = [record.timestamp() for record in records]
    columns: list[pa.Array[Any]] = [
        pa.array([record.offset() for record in records], pa.int64()),
        pa.array([at_ms for _, at_ms in stamps], pa.int64()),
        pa.array([kind for kind, _ in stamps], pa.int8()),
        pa.array([record.key() for record in records], pa.binary()),
        pa.array([record.value() for record in records], pa.binary()),
        headers.column,
        _text(headers.of("ce_id")),
        _text(headers.of("ce_shard")),
        pa.array([_number(text) for text in headers.of("ce_ordinal")], pa.int64()),
        _text([_op_of(kind) for kind in headers.of("ce_type")]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA), headers.shared_bytes


@dataclass(frozen=True, slots=True)
class _Headers:
    """The headers of some records: as a column, and each one's values by name."""

    column: pa.Array[Any]
    of: Callable[[str], Sequence[bytes | None]]
    shared_bytes: int
    """Of the column: the names, where other batches have the same."""


def _headers_of(headers: Sequence[Sequence[tuple[str, bytes]]]) -> _Headers:
    """All headers as one list column, from flat arrays: faster than from a list of lists.

    The records of a feed nearly always have the same names in the same order: then no dictionary is built for a record,
    a name's values are every n-th of the flat ones, and the names themselves are one piece of memory for all batches.
    """
    pairs = list(chain.from_iterable(headers))
    names, values = list(map(itemgetter(0), pairs)), list(map(itemgetter(1), pairs))
    width = len(headers[0])
    pattern = tuple(names[:width])
    uniform = set(map(len, headers)) == {width} and names == list(pattern) * len(headers)
    shared = uniform and width > 0 and len(headers) <= REPEATS
    if uniform and width:
        offsets = pa.array(range(0, len(names) + 1, width), pa.int32())
        flat_names = _repeated(pattern)[: len(names)] if shared else pa.array(names, pa.string())
        where = {name: position for position, name in enumerate(pattern)}  # of a repeated one the last

        def of(name: str) -> Sequence[bytes | None]:
            return values[where[name] :: width] if name in where else [None] * len(headers)
    else:
        offsets = pa.array([0, *accumulate(map(len, headers))], pa.int32())
        flat_names = pa.array(names, pa.string())
        facts = [dict(pairs) for pairs in headers]

        def of(name: str) -> Sequence[bytes | None]:
            return [fact.get(name) for fact in facts]

    flat = pa.StructArray.from_arrays([flat_names, pa.array(values, pa.binary())], fields=list(HEADER))
    return _Headers(pa.ListArray.from_arrays(offsets, flat), of, flat_names.nbytes if shared else 0)


@lru_cache(maxsize=8)
def _repeated(pattern: tuple[str, ...]) -> pa.Array[Any]:
    """The names of :data:`REPEATS` records that all have these."""
    return pa.array(pattern * REPEATS, pa.string())


def _text(values: Sequence[bytes | None]) -> pa.Array[Any]:
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
