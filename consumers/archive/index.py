"""The index of an hour of a partition: which keys are in which of its objects. Pure.

    "CFINDEX1"  length of the head (4 bytes, little endian)  head (JSON)  directory  entries

An entry is 6 bytes: the CRC-32 of a key and the number of a run in the head, big endian, so that their order is text
order. The directory has the position of the first entry of each of 256 ranges of hashes and, last, their count (4 bytes
each, little endian). So one key is looked up with two small reads, however many the index has: one of its beginning,
one of a 256th of the entries. Two keys with the same hash (once in four billion) cost the opening of an object in vain.

The index is a cache: it can be made again from the objects at any time, and none is trusted in a verification.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import orjson

from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

MAGIC: Final = b"CFINDEX1"
ENTRY_BYTES: Final = 6
RANGES: Final = 256
DIRECTORY_BYTES: Final = 4 * (RANGES + 1)
FIRST_READ_BYTES: Final = 16 * 1024
"""What is read of an index first: its head with sixty runs and the directory take about 5 KB."""
MAX_RUNS: Final = 1 << 16
"""Runs of one hour and partition that an index can tell apart."""

_NAME: Final = re.compile(r"hour=(?P<hour>\d{4}-\d\d-\d\d-\d\d)-(?P<runs>\d{6})\.index")


@dataclass(frozen=True, slots=True, order=True)
class IndexedRun:
    """A run, as its hour's index tells it."""

    minute: int
    """Minutes since the epoch."""
    first: int
    """Offset of its first record."""
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class HourIndex:
    """The beginning of an index: everything but the entries."""

    partition: Partition
    hour: int
    """Hours since the epoch."""
    runs: tuple[IndexedRun, ...]
    positions: tuple[int, ...]
    """Of the first entry of each range of hashes; last: their count."""
    entries_at: int
    """Where the entries begin, bytes."""

    def span_of(self, key: bytes) -> tuple[int, int]:
        """Start and length (bytes) of the entries in which the key's can be."""
        within = hash_of(key)[0]
        first, after = self.positions[within], self.positions[within + 1]
        return self.entries_at + first * ENTRY_BYTES, (after - first) * ENTRY_BYTES

    def runs_with(self, key: bytes, entries: bytes) -> list[IndexedRun]:
        """The runs that hold the key, by the entries of :meth:`span_of`."""
        wanted = hash_of(key)
        count = len(entries) // ENTRY_BYTES
        at = bisect_left(range(count), wanted, key=lambda n: entries[n * ENTRY_BYTES : n * ENTRY_BYTES + 4])
        found = []
        while at < count and entries[at * ENTRY_BYTES : at * ENTRY_BYTES + 4] == wanted:
            found.append(self.runs[int.from_bytes(entries[at * ENTRY_BYTES + 4 : (at + 1) * ENTRY_BYTES], "big")])
            at += 1
        return found


def hash_of(key: bytes) -> bytes:
    """Four bytes of a key, spread evenly."""
    return zlib.crc32(key).to_bytes(4, "big")


def build_index(partition: Partition, hour: int, runs: Sequence[tuple[IndexedRun, Iterable[bytes | None]]]) -> bytes:
    """The index of an hour from its runs, each with its keys (records without one are left out).

    Raises:
        FatalError: the hour has more runs than an index can tell apart.
    """
    if len(runs) > MAX_RUNS:
        raise FatalError(
            f"hour {hour} of partition {partition.number} has {len(runs)} objects",
            hint="raise open_ms and object_bytes of the archive: it writes far too many objects",
        )
    entries = sorted(
        {
            hash_of(key) + number.to_bytes(2, "big")
            for number, (_, keys) in enumerate(runs)
            for key in keys
            if key is not None
        }
    )
    positions = [bisect_left(entries, bytes([within])) for within in range(RANGES)]
    head = orjson.dumps(
        {
            "topic": partition.topic,
            "cluster_id": partition.cluster_id,
            "topic_id": partition.topic_id,
            "partition": partition.number,
            "hour": hour,
            "runs": [[run.minute, run.first, run.last, run.count] for run, _ in runs],
        }
    )
    directory = struct.pack(f"<{RANGES + 1}I", *positions, len(entries))
    return b"".join([MAGIC, struct.pack("<I", len(head)), head, directory, *entries])


def beginning_of(start: bytes) -> int:
    """How many bytes of an index its beginning takes, by its first ones.

    Raises:
        FatalError: it is no index.
    """
    if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
        raise _broken("it does not begin as one")
    (length,) = struct.unpack_from("<I", start, len(MAGIC))
    return len(MAGIC) + 4 + int(length) + DIRECTORY_BYTES


def read_index(beginning: bytes) -> HourIndex:
    """The beginning of an index, :func:`beginning_of` it in bytes or more.

    Raises:
        FatalError: it is no index.
    """
    end = beginning_of(beginning)
    try:
        told: dict[str, Any] = orjson.loads(beginning[len(MAGIC) + 4 : end - DIRECTORY_BYTES])
        positions = struct.unpack_from(f"<{RANGES + 1}I", beginning, end - DIRECTORY_BYTES)
        runs = tuple(IndexedRun(*run) for run in told["runs"])
        partition = Partition(told["cluster_id"], told["topic_id"], told["topic"], told["partition"])
        index = HourIndex(partition, told["hour"], runs, positions, end)
    except (orjson.JSONDecodeError, struct.error, KeyError, TypeError) as error:
        raise _broken(repr(error)) from error
    if any(first > after for first, after in pairwise(positions)):
        raise _broken("its directory is not in order")
    return index


def index_folder_of(prefix: str, partition: Partition) -> str:
    """Where a partition's indexes live."""
    where = f"{partition.topic}/{partition.cluster_id}/{partition.topic_id}"
    return f"{prefix}-index/{where}/partition={partition.number:05d}/"


def index_name(prefix: str, partition: Partition, hour: int, runs: int) -> str:
    """An index's name says how many runs it knows: one that knows more stands beside it, and takes its place."""
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{index_folder_of(prefix, partition)}hour={at:%Y-%m-%d-%H}-{runs:06d}.index"


def index_of(name: str) -> tuple[int, int] | None:
    """Hour and number of runs in a name; None when it is not an index's."""
    found = _NAME.fullmatch(name.rpartition("/")[2])
    if found is None:
        return None
    hour = datetime.strptime(found["hour"], "%Y-%m-%d-%H").replace(tzinfo=UTC)
    return int(hour.timestamp()) // 3600, int(found["runs"])


def _broken(why: str) -> FatalError:
    return FatalError(f"this is no index of the archive: {why}", hint="delete it: `feed archive index` makes it again")
