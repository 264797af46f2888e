"""Verifying a chain with nothing but read rights to the bucket: no Kafka, no trust in names or metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from connectors.s3 import ObjectStore, StoredObject, Version
from consumers.audit.segments import Link, first_of, folder_of, read
from consumers.columns import FileFacts, read_table
from consumers.columns.ordinals import OrdinalLedger
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError


class Status(StrEnum):
    """What was found of a segment, or between two."""

    INVALID = "invalid"
    """Its bytes are not those that its successor, or its own lock-protected first version, vouches for."""
    MISSING = "missing"
    """Segments that a later one counts are not there."""
    HIDDEN = "hidden"
    """A delete marker or a later version hides it; the locked version is still there and was verified."""
    MOVED = "moved"
    """It is genuine, and belongs under another name or in another partition."""
    TRAILING_DATA = "trailing data"
    """Genuine as far as its successor vouches for it, with bytes appended."""
    TRUNCATED = "truncated"
    """Shorter than its successor says."""
    FORKED = "forked"
    """Two segments claim the same place in the chain."""
    UNLOCKED = "unlocked"
    """Object Lock does not protect it (any more)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault."""

    status: Status
    name: str
    detail: str


@dataclass(slots=True)
class ChainReport:
    """What the verification of one chain found."""

    partition: Partition
    segments: int = 0
    records: int = 0
    size: int = 0
    head: Link | None = None
    """The last genuine segment."""
    hashes: dict[int, str] = field(default_factory=dict)
    """First offset → SHA-256 of every segment, as found."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    def found(self, status: Status, name: str, detail: str) -> None:
        """Add a fault."""
        self.findings.append(Finding(status, name, detail))


def verify_chain(
    store: ObjectStore, prefix: str, partition: Partition, *, ledger: OrdinalLedger, now: datetime
) -> ChainReport:
    """Verify one partition's chain, from its first segment to its last.

    Args:
        store: the bucket; the rights to list versions and to read them are enough.
        prefix: first part of the names.
        partition: whose chain.
        ledger: counts the ordinals found, for the proof over all partitions together.
        now: a lock that ends before is reported.
    """
    report = ChainReport(partition)
    walk = _Walk(report, ledger)
    for stored in _first_versions(store, folder_of(prefix, partition), report):
        if stored.head.lock_mode != "COMPLIANCE" or stored.head.retain_until is None or stored.head.retain_until < now:
            report.found(Status.UNLOCKED, stored.head.key, f"lock: {stored.head.lock_mode or 'none'}")
        walk.step(stored)
    walk.end()
    return report


def _first_versions(store: ObjectStore, folder: str, report: ChainReport) -> Iterator[StoredObject]:
    """The segments in the order of their names, each in its first version: the one that was written create-only."""
    names: dict[str, list[Version]] = {}
    for version in store.versions(folder):
        names.setdefault(version.key, []).append(version)
    for name in sorted(names):
        versions = sorted(names[name], key=attrgetter("modified_at", "latest"))  # times have whole seconds
        bodies = [version for version in versions if not version.delete_marker]
        if len(versions) > 1 or not bodies:
            kinds = ", ".join("delete marker" if version.delete_marker else "version" for version in versions)
            report.found(Status.HIDDEN if bodies else Status.MISSING, name, f"written once, and now it has: {kinds}")
        if bodies and (stored := store.get(name, version_id=bodies[0].version_id)) is not None:
            yield stored


class _Walk:
    """Goes along a chain: a segment's bytes are judged by what its successor says of them."""

    def __init__(self, report: ChainReport, ledger: OrdinalLedger) -> None:
        self._report = report
        self._ledger = ledger
        self._expected = 0
        """Number of the next segment."""
        self._before: StoredObject | None = None
        self._unreadable = ""
        """Why the segment before could not be read; empty when it could."""

    def step(self, stored: StoredObject) -> None:
        """Take the next segment by name."""
        report, name = self._report, stored.head.key
        report.segments += 1
        report.size += len(stored.body)
        try:
            link, previous, facts = read(stored)
            table = read_table(stored.body, name=name, columns=["offset", "shard", "ordinal"])
        except (FatalError, KeyError, TypeError) as error:
            self.end()
            self._before, self._unreadable = stored, str(error)
            self._expected += 1
            return
        if not self._is_in_place(name, facts):
            return
        if link.number < self._expected:
            report.found(Status.FORKED, name, f"number {link.number} is taken by another segment")
            return
        if link.number > self._expected:
            report.found(Status.MISSING, name, f"segments {self._expected} to {link.number - 1} before it are gone")
            self.end()
        elif previous is not None and self._before is not None:
            self._judge_before(self._before, previous)
        if table.num_rows != facts.count:
            report.found(Status.INVALID, name, f"holds {table.num_rows} records, says {facts.count}")
        report.records += table.num_rows
        report.hashes[link.first] = link.sha256
        self._ledger.mark(table)
        report.head, self._before, self._unreadable, self._expected = link, stored, "", link.number + 1

    def end(self) -> None:
        """No successor speaks for the segment before."""
        if self._before is not None and self._unreadable:
            self._report.found(Status.INVALID, self._before.head.key, self._unreadable)
        self._before, self._unreadable = None, ""

    def _is_in_place(self, name: str, facts: FileFacts) -> bool:
        partition = self._report.partition
        where = (facts.cluster_id, facts.topic_id, facts.partition, facts.first)
        if where == (partition.cluster_id, partition.topic_id, partition.number, first_of(name)):
            return True
        self._report.found(Status.MOVED, name, f"was written for partition {facts.partition}, offset {facts.first}")
        return False

    def _judge_before(self, before: StoredObject, vouched: Link) -> None:
        found = hashlib.sha256(before.body).hexdigest()
        if found == vouched.sha256:
            return
        if len(before.body) < vouched.size:
            status = Status.TRUNCATED
        elif hashlib.sha256(before.body[: vouched.size]).hexdigest() == vouched.sha256:
            status = Status.TRAILING_DATA
        else:
            status = Status.INVALID
        self._report.found(status, before.head.key, f"its successor vouches for {vouched.sha256}, found {found}")
