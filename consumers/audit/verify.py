"""Verifying a chain with nothing but read rights to the bucket: no Kafka, no trust in names or metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from connectors.s3 import ObjectStore, StoredObject
from consumers.audit.findings import Finding, Status
from consumers.audit.segments import Link, first_of, folder_of, links_of, name_of
from consumers.audit.versions import first_versions, names_in
from consumers.columns import FileFacts, read_file
from consumers.columns.ordinals import OrdinalLedger
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

COLUMNS = ("offset", "timestamp_ms", "shard", "ordinal")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a chain, between two of its links as signed digests name them."""

    after: Link | None = None
    """The last segment before the part; None: from the chain's first segment on."""
    through: Link | None = None
    """The last segment of the part; None: to the chain's end."""

    @property
    def empty(self) -> bool:
        """True when nothing was written between the two digests."""
        return self.after is not None and self.after == self.through


WHOLE = Span()


@dataclass(slots=True)
class ChainReport:
    """What the verification of one chain, or of a part of it, found."""

    partition: Partition
    segments: int = 0
    records: int = 0
    size: int = 0
    head: Link | None = None
    """The last genuine segment."""
    began_ms: int = 0
    """Time of the first record where the log began after the topic did; 0 when it has the topic from its start."""
    hashes: dict[int, str] = field(default_factory=dict)
    """First offset → SHA-256 of every segment, as found."""
    findings: list[Finding] = field(default_factory=list)
    of_key: list[tuple[str, int]] = field(default_factory=list)
    """Segments that hold records of the key asked for: name, and how many."""
    key_extents: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Lowest and highest ordinal of that key's changes in each shard, shards in the order of the chain."""
    key_links: tuple[int, int] | None = None
    """Numbers of the first and the last segment that hold it; None when none does."""

    @property
    def valid(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    def found(self, status: Status, name: str, detail: str) -> None:
        """Add a fault."""
        self.findings.append(Finding(status, name, detail))


Progress = Callable[[int, int], None]
"""Told how many segments are done of how many known so far."""


def verify_chain(
    store: ObjectStore,
    prefix: str,
    partition: Partition,
    *,
    ledger: OrdinalLedger,
    now: datetime,
    span: Span = WHOLE,
    key: bytes | None = None,
    progress: Progress | None = None,
) -> ChainReport:
    """Verify one partition's chain, from its first segment to its last, or the part between two digests.

    Args:
        store: the bucket; the rights to list versions and to read them are enough.
        prefix: first part of the names.
        partition: whose chain.
        ledger: counts the ordinals found, for the proof over all partitions together.
        now: a lock that ends before is reported.
        span: the part; its first segment must continue ``span.after``, which is not read.
        key: count its records, segment by segment.
        progress: told after each segment.
    """
    report = ChainReport(partition, head=span.after)
    if span.after is not None:
        report.hashes[span.after.first] = span.after.sha256
    if span.empty:
        return report
    folder = folder_of(prefix, partition)
    names = names_in(
        store,
        folder,
        after=name_of(folder, span.after.first) if span.after else "",
        through=name_of(folder, span.through.first) if span.through else "",
    )
    walk = _Walk(report, ledger, span.after, key)
    for done, stored in enumerate(first_versions(store, names, now=now, found=report.found), start=1):
        walk.step(stored)
        if progress is not None:
            progress(done, len(names))
    walk.end()
    return report


class _Walk:
    """Goes along a chain: a segment's bytes are judged by what its successor says of them."""

    def __init__(self, report: ChainReport, ledger: OrdinalLedger, after: Link | None, key: bytes | None) -> None:
        self._report = report
        self._ledger = ledger
        self._after = after
        self._columns = COLUMNS if key is None else (*COLUMNS, "key")
        self._key = None if key is None else pa.scalar(key, pa.binary())
        self._expected = after.number + 1 if after else 0
        """Number of the next segment."""
        self._before: StoredObject | None = None
        self._before_sha256 = ""
        self._unreadable = ""
        """Why the segment before could not be read; empty when it could."""

    def step(self, stored: StoredObject) -> None:
        """Take the next segment by name."""
        report, name = self._report, stored.head.key
        report.segments += 1
        report.size += len(stored.body)
        try:
            facts, table = read_file(stored.body, name=name, columns=self._columns)
            link, previous = links_of(stored, facts)
        except (FatalError, KeyError, TypeError) as error:
            self.end()
            self._before, self._before_sha256 = stored, hashlib.sha256(stored.body).hexdigest()
            self._unreadable = str(error)
            self._expected += 1
            return
        if not self._is_in_place(name, facts):
            return
        if link.number < self._expected:
            report.found(Status.FORKED, name, f"number {link.number} is taken by another segment")
            return
        self._judge_link(name, link, previous)
        if table.num_rows != facts.count:
            report.found(Status.INVALID, name, f"holds {table.num_rows} records, says {facts.count}")
        self._count(name, link, table)
        report.head, self._unreadable, self._expected = link, "", link.number + 1
        self._before, self._before_sha256 = stored, link.sha256

    def end(self) -> None:
        """No successor speaks for the segment before."""
        if self._before is not None and self._unreadable:
            self._report.found(Status.INVALID, self._before.head.key, self._unreadable)
        self._before, self._unreadable = None, ""

    def _judge_link(self, name: str, link: Link, previous: Link | None) -> None:
        """Whether the segment continues what came before it, and what it says of that."""
        if link.number > self._expected:
            gone = f"segments {self._expected} to {link.number - 1} before it are gone"
            self._report.found(Status.MISSING, name, gone)
            self.end()
        elif self._before is not None:
            if previous is not None:
                self._judge_before(self._before, previous)
        elif previous != self._after:
            told = "is not the one that the digest before the range signs" if self._after else "should not exist"
            self._report.found(Status.FORKED, name, f"the segment that it continues {told}")

    def _count(self, name: str, link: Link, table: pa.Table) -> None:
        report = self._report
        if link.number == 0 and link.first > 0 and table.num_rows:
            report.began_ms = table.column("timestamp_ms")[0].as_py()
        report.records += table.num_rows
        report.hashes[link.first] = link.sha256
        self._ledger.mark(table)
        if self._key is not None:
            mine = table.filter(pc.equal(table.column("key"), self._key))
            if mine.num_rows:
                report.of_key.append((name, mine.num_rows))
                report.key_links = (report.key_links[0] if report.key_links else link.number, link.number)
                self._extend(mine)

    def _extend(self, mine: pa.Table) -> None:
        extents = self._report.key_extents
        changes = mine.select(["shard", "ordinal"]).drop_null()
        for shard, ordinal in zip(*(changes.column(name).to_pylist() for name in ("shard", "ordinal")), strict=True):
            lowest, highest = extents.get(shard, (ordinal, ordinal))
            extents[shard] = (min(lowest, ordinal), max(highest, ordinal))

    def _is_in_place(self, name: str, facts: FileFacts) -> bool:
        partition = self._report.partition
        where = (facts.cluster_id, facts.topic_id, facts.partition, facts.first)
        if where == (partition.cluster_id, partition.topic_id, partition.number, first_of(name)):
            return True
        self._report.found(Status.MOVED, name, f"was written for partition {facts.partition}, offset {facts.first}")
        return False

    def _judge_before(self, before: StoredObject, vouched: Link) -> None:
        found = self._before_sha256
        if found == vouched.sha256:
            return
        if len(before.body) < vouched.size:
            status = Status.TRUNCATED
        elif hashlib.sha256(before.body[: vouched.size]).hexdigest() == vouched.sha256:
            status = Status.TRAILING_DATA
        else:
            status = Status.INVALID
        self._report.found(status, before.head.key, f"its successor vouches for {vouched.sha256}, found {found}")
