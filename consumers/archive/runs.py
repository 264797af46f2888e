"""The runs of one partition in the bucket: what is held already, and storing the next."""

from __future__ import annotations

import hashlib
from typing import Final

import pyarrow as pa

from connectors.s3 import ObjectHead, ObjectStore, PutOutcome
from consumers.archive.minutes import folder_of, name_of, run_of
from consumers.columns import FileFacts, agree, read_facts, rows_after, write_file
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError, RetryableError

KIND: Final = "archive-run"

REMEMBERED_MINUTES: Final = 4_096
"""Minutes whose end is remembered; beyond that all are forgotten and looked up anew when they are met."""


class Runs:
    """What the bucket holds of a partition, minute by minute, looked up when a minute is first met.

    After a crash, records from the committed offset on are read again, of any minutes; these minutes, and no others,
    may
    hold some of them. So a minute is looked up when its first record comes: one LIST for each hour, one HEAD for each
    minute. An object that another owner stores later is met at its name (:meth:`store`).
    """

    def __init__(self, store: ObjectStore, prefix: str, partition: Partition) -> None:
        self._store = store
        self._prefix = prefix
        self._partition = partition
        self._through: dict[int, int] = {}
        self._listed: dict[int, dict[int, str]] = {}
        """For each listed hour: the name of the last run of each of its minutes."""

    def look_up(self, minute: int) -> int:
        """The offset through which the minute's records are held; -1 when none is.

        Raises:
            RetryableError: S3 is away.
        """
        if minute not in self._through:
            if len(self._through) >= REMEMBERED_MINUTES:
                self._through.clear()
                self._listed.clear()
            name = self._last_run(minute)
            head = self._store.head(name) if name else None
            self._through[minute] = self._end_of(head) if head else -1
        return self._through[minute]

    def held_through(self, minute: int, offset: int) -> None:
        """Remember that the minute's records are held through ``offset``."""
        self._through[minute] = max(self._through.get(minute, -1), offset)

    def store(self, minute: int, records: pa.Table) -> int:
        """Store the next run of a minute; gives the offset through which the minute is held then.

        Runs in any thread, and again after any error. A name that is taken means that these records are stored already,
        by this writer before its answer got lost or by another owner: what that run holds is skipped, the rest follows.

        Raises:
            FatalError: the bucket holds other records under these offsets.
            RetryableError: S3 is away.
        """
        end = -1
        while records.num_rows:
            first, end = records.column("offset")[0].as_py(), records.column("offset")[-1].as_py()
            name = name_of(self._prefix, self._partition, minute, first)
            body = write_file(records, self._facts(minute, records))
            metadata = {
                "first": str(first),
                "last": str(end),
                "count": str(records.num_rows),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
            if self._store.put_create_only(name, body, metadata) is PutOutcome.CREATED:
                return int(end)
            end = self._adopt(name, records)
            records = rows_after(records, end)
        return int(end)

    def _facts(self, minute: int, records: pa.Table) -> FileFacts:
        offsets = records.column("offset")
        return FileFacts(
            cluster_id=self._partition.cluster_id,
            topic_id=self._partition.topic_id,
            topic=self._partition.topic,
            partition=self._partition.number,
            first=offsets[0].as_py(),
            last=offsets[-1].as_py(),
            count=records.num_rows,
            more={"kind": KIND, "minute": minute},
        )

    def _adopt(self, name: str, records: pa.Table) -> int:
        stored = self._store.get(name)
        if stored is None:
            raise RetryableError(f"{self._store.url(name)} exists and cannot be read", hint="it is tried again")
        if not agree(records, stored):
            raise FatalError(
                f"{self._store.url(name)} holds other events than these offsets of the topic: "
                "the topic was made anew, or another feed writes here",
                hint="give the new topic's archive a bucket or prefix of its own; the old objects stay as they are",
            )
        return read_facts(stored.body, name=name).last

    def _last_run(self, minute: int) -> str:
        hour = minute // 60
        if hour not in self._listed:
            lasts: dict[int, str] = {}
            for entry in self._store.list(folder_of(self._prefix, self._partition, hour)):
                run = run_of(self._prefix, entry.key)
                if run is not None:
                    lasts[run.minute] = max(lasts.get(run.minute, ""), entry.key)
            self._listed[hour] = lasts
        return self._listed[hour].get(minute, "")

    def _end_of(self, head: ObjectHead) -> int:
        last = head.metadata.get("last", "")
        if last.isdigit():
            return int(last)
        stored = self._store.get(head.key)  # metadata can get lost when someone copies a bucket; the footer cannot
        if stored is None:
            raise RetryableError(f"{self._store.url(head.key)} is listed and cannot be read", hint="it is tried again")
        return read_facts(stored.body, name=head.key).last
