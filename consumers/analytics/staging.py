"""Files and manifest of a load in S3: named by what they hold, written once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.s3 import ObjectStore, PutOutcome
from consumers.analytics.loads import Load
from consumers.runtime.contracts import Partition
from schemas.errors import RetryableError


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file as the manifest names it."""

    key: str
    size: int


class Staging:
    """Where loads are staged.

    Args:
        store: the bucket.
        prefix: first part of the names.
        executor: runs the uploads of one load side by side.
    """

    def __init__(self, store: ObjectStore, prefix: str, executor: Executor) -> None:
        self._store = store
        self._prefix = prefix
        self._executor = executor

    def stage(self, load: Load) -> str:
        """Write a load's files and its manifest; gives the manifest's URL, empty without rows. May be repeated.

        Raises:
            RetryableError: S3 is away.
        """
        pieces = [(key, rows) for part in load.parts for key, rows in self._pieces(part.partition, part.rows)]
        if not pieces:
            return ""
        files = list(self._executor.map(lambda piece: self._put(*piece), pieces))
        entries = [
            {"url": self._store.url(file.key), "mandatory": True, "meta": {"content_length": file.size}}
            for file in files
        ]
        body = orjson.dumps({"entries": entries})
        key = f"{self._prefix}/manifests/{hashlib.sha256(body).hexdigest()}.json"
        self._store.put_create_only(key, body, content_type="application/json")
        return self._store.url(key)

    def _pieces(self, partition: Partition, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each day of event time, under the name that their content gives."""
        folder = f"{self._prefix}/{partition.topic}/{partition.cluster_id}/{partition.topic_id}"
        shape = hashlib.sha256(str(rows.schema).encode()).hexdigest()[:8]
        days = pc.floor_temporal(rows.column("feed_occurred_at"), unit="day")
        for day in pc.unique(days).to_pylist():
            mine: pa.Table = rows.filter(pc.equal(days, pa.scalar(day, days.type)))
            offsets = mine.column("feed_offset")
            # with the count: a record that was refused once may have a row after an upgrade, between the same offsets
            span = f"{offsets[0].as_py():020d}-{offsets[-1].as_py():020d}-{mine.num_rows}"
            yield f"{folder}/day={day:%Y-%m-%d}/partition={partition.number:05d}/{span}-{shape}.parquet", mine

    def _put(self, key: str, rows: pa.Table) -> StagedFile:
        out = io.BytesIO()
        pq.write_table(rows, out, compression="zstd")
        body = out.getvalue()
        if self._store.put_create_only(key, body) is PutOutcome.CREATED:
            return StagedFile(key, len(body))
        head = self._store.head(key)  # these very rows, staged before a crash; another version's bytes may differ
        if head is None:
            raise RetryableError(f"{self._store.url(key)} exists and cannot be read", hint="it is tried again")
        return StagedFile(key, head.size)
