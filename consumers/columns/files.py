"""Columns in Parquet: written once, read whole or by column."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.s3 import StoredObject
from consumers.columns.stored import StoredRecord, records_of
from schemas.errors import FatalError

FORMAT: Final = "changefeed.records.v1"
"""Name and version of the format, in every file's footer."""

FACTS_KEY: Final = b"changefeed"
"""Key of our entry in the Parquet footer's key-value metadata: one JSON object."""

IDENTITY_COLUMNS: Final = ("offset", "event_id", "key", "value")
"""What two copies of one record must agree in."""

_KNOWN: Final = ("cluster_id", "topic_id", "topic", "partition", "first", "last", "count")

_ENCODING: Final = threading.Lock()
"""One file at a time is encoded: Arrow takes several times the table for it. Uploads go side by side all the same."""

ROW_GROUP_RECORDS: Final = 65_536
"""Records of a row group: the grain at which a reader skips by the statistics of offset, timestamp and key."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says of itself in its footer."""

    cluster_id: str
    topic_id: str
    topic: str
    partition: int
    first: int
    last: int
    count: int
    more: Mapping[str, Any]
    """What the sink adds: the chain of an audit segment, the bucket of an archive object."""


def write_file(table: pa.Table, facts: FileFacts) -> bytes:
    """The bytes of a file: Parquet, zstd, with the facts in the footer."""
    more = {
        "format": FORMAT,
        "cluster_id": facts.cluster_id,
        "topic_id": facts.topic_id,
        "topic": facts.topic,
        "partition": facts.partition,
        "first": facts.first,
        "last": facts.last,
        "count": facts.count,
        **facts.more,
    }
    sink = io.BytesIO()
    with (
        _ENCODING,
        pq.ParquetWriter(
            sink,
            table.schema,
            compression="zstd",
            use_dictionary=["shard", "op", "headers.list.element.name"],  # type: ignore[arg-type]  # the stubs know bool only
            write_statistics=["offset", "timestamp_ms", "key", "event_id", "shard", "ordinal"],
        ) as writer,
    ):
        writer.write_table(table, row_group_size=ROW_GROUP_RECORDS)
        writer.add_key_value_metadata({FACTS_KEY.decode(): orjson.dumps(more).decode()})
    return sink.getvalue()


def read_facts(body: bytes, *, name: str) -> FileFacts:
    """The facts in a file's footer.

    Raises:
        FatalError: it is not a file of this format; ``name`` says which.
    """
    return _facts_of(_open(body, name), name)


def read_table(body: bytes, *, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The columns (all by default) of a file."""
    try:
        return _open(body, name).read(columns=list(columns) if columns is not None else None, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(name, error) from error


def read_file(body: bytes, *, name: str, columns: Sequence[str]) -> tuple[FileFacts, pa.Table]:
    """Facts and columns of a file, opened once: of a small file the opening is what takes long.

    Raises:
        FatalError: it is not a file of this format.
    """
    file = _open(body, name)
    facts = _facts_of(file, name)
    try:
        return facts, file.read(columns=list(columns), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(name, error) from error


def read_records(body: bytes, *, name: str) -> Iterator[StoredRecord]:
    """The records of a file, by offset."""
    facts = read_facts(body, name=name)
    yield from records_of(read_table(body, name=name), topic=facts.topic, partition=facts.partition)


def agree(ours: pa.Table, stored: StoredObject) -> bool:
    """Whether two files that begin at the same offset hold the same records as far as both reach."""
    theirs = read_table(stored.body, name=stored.head.key, columns=IDENTITY_COLUMNS)
    rows = min(ours.num_rows, theirs.num_rows)
    mine = ours.select(list(IDENTITY_COLUMNS)).slice(0, rows).combine_chunks()
    return bool(mine.equals(theirs.slice(0, rows).combine_chunks().cast(mine.schema)))


def _open(body: bytes, name: str) -> pq.ParquetFile:
    try:
        # everything is in memory and small: no thread is worth its start, and one that starts while the process ends
        # aborts it (Arrow joins none)
        return pq.ParquetFile(pa.BufferReader(body), pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _broken(name, error) from error


def _facts_of(file: pq.ParquetFile, name: str) -> FileFacts:
    entry = (file.metadata.metadata or {}).get(FACTS_KEY)
    try:
        facts: dict[str, Any] = orjson.loads(entry or b"")
        if facts.pop("format") != FORMAT:
            raise _broken(name, "its format is another")
        known = {
            key: facts.pop(key) for key in ("cluster_id", "topic_id", "topic", "partition", "first", "last", "count")
        }
    except (orjson.JSONDecodeError, KeyError) as error:
        raise _broken(name, error) from error
    return FileFacts(**known, more=facts)


def _broken(name: str, why: object) -> FatalError:
    return FatalError(
        f"{name} is not a file of records as this feed writes them ({why})",
        hint="something else wrote under this name, or the object was damaged: look at its versions in the bucket",
    )
