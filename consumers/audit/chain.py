"""The chain in the bucket: finding its head, and making it longer by one segment, whoever else tries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from connectors.s3 import ObjectStore, PutOutcome
from consumers.audit.segments import Link, build, first_of, folder_of, metadata_of, name_of, read
from consumers.audit.versions import Named, names_in, read_first
from consumers.columns import read_table, rows_after
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError, RetryableError

LOOK_BACK_OFFSETS: Final = (1 << 14, 1 << 20, 1 << 26)
"""How far below the committed offset a head is looked for before the whole chain is listed: the head holds the last
record before it, so the first step nearly always finds it, in one page."""


@dataclass(frozen=True, slots=True)
class ChainStore:
    """One partition's chain in the bucket."""

    store: ObjectStore
    prefix: str
    partition: Partition

    @property
    def folder(self) -> str:
        """The chain's folder."""
        return folder_of(self.prefix, self.partition)

    def find_head(self, committed: int) -> Link | None:
        """The last segment of the chain, None when there is none.

        Args:
            committed: the offset that Kafka has committed; only makes the search short.
        """
        for back in (*LOOK_BACK_OFFSETS, committed):
            after = name_of(self.folder, committed - back) if back < committed else ""
            # by versions: a segment that someone hid behind a delete marker is the chain's head all the same
            names = names_in(self.store, self.folder, after=after)
            found = [named for named in names if first_of(named.name) is not None and named.first is not None]
            if found:
                return self._read(found[-1])
            if not after:
                return None
        return None

    def extend(self, head: Link | None, records: pa.Table, retain_until: datetime) -> Link:
        """Store ``records`` after ``head`` and give the new head. Runs in any thread, and again after any error.

        A name that is taken means that these records are stored already, by this writer before its answer got lost or
        by another that owned the partition: what that segment holds is skipped, and the rest continues after it.

        Raises:
            FatalError: the bucket holds other records under these offsets, or another chain.
            RetryableError: S3 is away.
        """
        while records.num_rows:
            body, link = build(self.partition, head, records)
            name = name_of(self.folder, link.first)
            metadata = metadata_of(link, head, records.num_rows)
            if self.store.put_create_only(name, body, metadata, retain_until=retain_until) is PutOutcome.CREATED:
                return link
            head = self._adopt(name, head, records)
            records = rows_after(records, head.last)
        assert head is not None  # noqa: S101 - an empty table is never given, so a segment was adopted
        return head

    def _adopt(self, name: str, head: Link | None, records: pa.Table) -> Link:
        stored = self.store.get(name)
        if stored is None:
            raise RetryableError(
                f"{self.store.url(name)} exists and cannot be read", hint="a delete marker was set while it was written"
            )
        theirs, previous, _ = read(stored)
        if not _same_records(records, read_table(stored.body, name=name)):
            raise FatalError(
                f"{self.store.url(name)} holds other records than offset {theirs.first} of the topic: "
                "the topic was made anew, or another feed writes here",
                hint="give the new topic's audit log a bucket or prefix of its own; the old log stays as it is",
            )
        if previous != head:
            raise FatalError(
                f"{self.store.url(name)} continues another chain than the one found when the partition was assigned",
                hint="run `feed audit verify` before anything else is written",
            )
        return theirs

    def _read(self, named: Named) -> Link:
        stored = read_first(self.store, named)
        if stored is None:
            raise RetryableError(f"{self.store.url(named.name)} is listed and cannot be read", hint="it is tried again")
        return read(stored)[0]


def _same_records(ours: pa.Table, theirs: pa.Table) -> bool:
    """Whether both hold the same records, in every column, as far as both reach.

    Events alone would not do: whoever wrote it before us may have left the event and changed a header or a time.
    """
    rows = min(ours.num_rows, theirs.num_rows)
    mine = ours.slice(0, rows).combine_chunks()
    return bool(mine.equals(theirs.slice(0, rows).combine_chunks().cast(mine.schema)))
