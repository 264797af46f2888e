"""Rows in order, however many: sorted in pieces, written to disk, merged as they are read back.

Order is a total one, by ``place``, so that a key's changes come by their versions whatever objects, partitions, clocks
or lives of the topic they were archived from, and so that a replay that is resumed goes on where it stood. Rows of one
place are one change, archived twice: it comes once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from producers.replay.rows import ROWS
from schemas.errors import FatalError

PIECE_SHARE: Final = 4
"""A piece is this part of the memory that may be used: sorting it takes twice its size."""

FAN_IN: Final = 64
"""Files merged at once: as many blocks are in memory. More files than that are first merged into one."""

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd")


class Sorter:
    """Takes rows in any order, gives them back in order.

    Args:
        folder: an empty folder on a disk with room; what is written there is as large as the archive's objects.
        memory_bytes: bound for what is in memory, about.
        spill_bytes: bound for what is on disk.
    """

    def __init__(self, folder: Path, *, memory_bytes: int, spill_bytes: int) -> None:
        self._folder = folder
        self._piece_bytes = max(1, memory_bytes // PIECE_SHARE)
        self._block_bytes = max(1, memory_bytes // (2 * FAN_IN))
        self._spill_bytes = spill_bytes
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._levels: list[list[Path]] = []
        self._written = 0
        self._number = 0

    @property
    def spilled_bytes(self) -> int:
        """Bytes on disk now."""
        return self._written

    def add(self, rows: pa.Table) -> None:
        """Take rows with the schema :data:`~producers.replay.rows.ROWS`.

        Raises:
            FatalError: the disk's bound is reached.
        """
        if rows.num_rows:
            self._pending.append(rows)
            self._pending_bytes += rows.nbytes
        if self._pending_bytes >= self._piece_bytes:
            self._spill()

    def ordered(self) -> Iterator[pa.Table]:
        """Every row once, in order, in tables of any size. Nothing may be added afterwards."""
        if not self._levels:
            yield from _merge([iter([self._piece()])])
            return
        self._spill()
        yield from _merge([_blocks(path) for level in self._levels for path in level])

    def _piece(self) -> pa.Table:
        whole = pa.concat_tables([ROWS.empty_table(), *self._pending])
        self._pending, self._pending_bytes = [], 0
        return _sorted(whole)

    def _spill(self) -> None:
        if not self._pending:
            return
        self._keep(self._write(iter([self._piece()])), level=0)

    def _keep(self, path: Path, *, level: int) -> None:
        """Levels as in a log-structured tree: each row is merged again only as often as there are levels."""
        if level == len(self._levels):
            self._levels.append([])
        files = self._levels[level]
        files.append(path)
        if len(files) < FAN_IN:
            return
        merged = self._write(_merge([_blocks(each) for each in files]))
        for each in files:
            self._written -= each.stat().st_size
            each.unlink()
        files.clear()
        self._keep(merged, level=level + 1)

    def _write(self, tables: Iterator[pa.Table]) -> Path:
        self._number += 1
        path = self._folder / f"{self._number:06d}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, ROWS, options=_OPTIONS) as writer:
            for table in tables:
                rows = max(1, table.num_rows * self._block_bytes // max(1, table.nbytes))
                for batch in table.to_batches(max_chunksize=rows):
                    writer.write_batch(batch)
        self._written += path.stat().st_size
        if self._written > self._spill_bytes:
            raise FatalError(
                f"putting the replay in order takes more than {self._spill_bytes / 2**30:.1f} GiB of disk",
                hint="replay a shorter range after another, oldest first, or raise replay.spill_bytes",
            )
        return path


def _sorted(table: pa.Table) -> pa.Table:
    places = table.column("place")
    ordered: pa.Table = table.take(pc.sort_indices(places)).combine_chunks()
    return ordered


def _blocks(path: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(path), "rb") as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])


def _merge(sources: list[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """Merge sorted sources: what is not above the lowest of their blocks' last places is in order, and complete."""
    heads: list[tuple[pa.Table, Iterator[pa.Table]]] = []
    for source in sources:
        _advance(heads, source)
    last = ""
    while heads:
        bound = min(table.column("place")[-1].as_py() for table, _ in heads)
        taken: list[pa.Table] = []
        moving, heads = heads, []
        for table, source in moving:
            count = _count_through(table, bound)
            taken.append(table.slice(0, count))
            if count < table.num_rows:
                heads.append((table.slice(count), source))
            else:
                _advance(heads, source)
        rows = _once(taken[0] if len(taken) == 1 else _sorted(pa.concat_tables(taken)), last)
        last = bound
        if rows.num_rows:
            yield rows


def _advance(heads: list[tuple[pa.Table, Iterator[pa.Table]]], source: Iterator[pa.Table]) -> None:
    for table in source:
        if table.num_rows:
            heads.append((table, source))
            return


def _count_through(table: pa.Table, bound: str) -> int:
    places: Any = table.column("place")
    if places[-1].as_py() <= bound:
        return table.num_rows
    return bisect_right(range(table.num_rows), bound, key=lambda row: places[row].as_py())


def _once(table: pa.Table, last: str) -> pa.Table:
    """Without rows whose place is that of the row before; ``last`` is the place before the first row."""
    places: Any = table.column("place")
    before = pa.chunked_array([pa.array([last]), *places.slice(0, table.num_rows - 1).chunks])
    new = pc.not_equal(places, before)
    return table if pc.all(new).as_py() else table.filter(new)
