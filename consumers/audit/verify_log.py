"""Verifying an audit log: its chains, its digests, their anchor, and the ordinals over all of it, whole or in a range.

The log has two topics: the changes, and ``<topic>.control`` with what the feed declared about itself (refused changes,
ends of shards, gaps). Both are chains of the same kind, so a missing ordinal is told to be declared or not without
Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from connectors.s3 import ObjectStore
from consumers.audit.anchors import Anchor
from consumers.audit.findings import Finding, Status
from consumers.audit.order import extents_of, judge_extents
from consumers.audit.ranges import Bounds, bounds_of, times_around
from consumers.audit.reader import partitions_in
from consumers.audit.segments import first_of, folder_of
from consumers.audit.verify import ChainReport, Progress, Span, verify_chain
from consumers.audit.verify_digests import DigestReport, verify_digests
from consumers.audit.versions import names_in, read_first
from consumers.columns import (
    SETTLING_MS,
    Declared,
    OrdinalLedger,
    OrdinalReport,
    declared_in,
    judge_lineage,
    judge_ordinals,
    partition_of_key,
    read_records,
)
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

CONTROL: Final = ".control"
"""``<topic>.control`` is the topic of control events."""

BESIDE_MS: Final = 600_000
"""How far beyond a range an ordinal is looked for before it counts as missing: partitions do not close their segments
at the same time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be verified."""

    topic: str
    now: datetime
    """Locks that end before are reported."""
    public_key: bytes | None = None
    """PEM; None leaves the digests out."""
    anchor: Anchor | None = None
    """Where the last digest is noted outside the bucket; None leaves a cut tail of digests unseen."""
    from_ms: int | None = None
    """What was stored from this time on (by digests, so a little more); None: from the log's begin."""
    to_ms: int | None = None
    """What was stored before this time; None: to the log's end."""
    key: bytes | None = None
    """The life of one item: the chain that holds this key, and the ordinals of its shards between its first and its
    last change, wherever they are stored."""
    partitions: int = 0
    """How many partitions the topic has; needed to know which of them holds ``key``."""

    @property
    def whole(self) -> bool:
        """The whole log is to be verified."""
        return self.from_ms is None and self.to_ms is None


@dataclass(slots=True)
class LogReport:
    """What was found of one topic's log."""

    topic: str
    chains: list[ChainReport] = field(default_factory=list)
    digests: int = 0
    digest_findings: list[Finding] = field(default_factory=list)
    ordinals: OrdinalReport = field(default_factory=OrdinalReport)
    ordinal_findings: list[Finding] = field(default_factory=list)
    beside: list[ChainReport] = field(default_factory=list)
    """The other partitions' chains, where one item is verified: the parts that its ordinals were looked for in."""
    control: LogReport | None = None
    """The same for the control events; None when they are not in the bucket."""

    @property
    def findings(self) -> list[Finding]:
        """All faults: of segments, of digests, of ordinals, and those of the control events' log."""
        chains = [*self.chains, *self.beside]
        own = [*(finding for chain in chains for finding in chain.findings), *self.digest_findings]
        return [*own, *self.ordinal_findings, *(self.control.findings if self.control is not None else [])]

    @property
    def valid(self) -> bool:
        """True when nothing was found at all."""
        return not self.findings


def verify_log(store: ObjectStore, prefix: str, wanted: Wanted, progress: Progress | None = None) -> LogReport:
    """Verify the chains of a topic, its digests where the public key is given, and its ordinals.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the segments' names.
        wanted: whose log, and which part of it.
        progress: told how many segments are done of how many known so far.

    Raises:
        ConfigError: a range is asked for and there are no digests to bound it.
    """
    work = _Verification(store, prefix, wanted, progress)
    report = work.topic(wanted.topic)
    if not report.chains:
        nothing = Finding(Status.MISSING, f"{prefix}/{wanted.topic}/", "there is no segment at all")
        report.digest_findings.append(nothing)
    if partitions_in(store, prefix, topic=wanted.topic + CONTROL):
        report.control = work.topic(wanted.topic + CONTROL)
    if wanted.key is None:
        work.judge(report)
    else:
        work.judge_item(report)
    return report


class _Verification:
    """One run."""

    def __init__(self, store: ObjectStore, prefix: str, wanted: Wanted, progress: Progress | None) -> None:
        self._store = store
        self._prefix = prefix
        self._wanted = wanted
        self._progress = progress
        self._done = self._known = 0
        self._ledger = OrdinalLedger()
        self._ranges: list[tuple[list[Partition], Bounds]] = []
        """The range in each of the topic's identities, for a look beside it."""

    def topic(self, topic: str) -> LogReport:
        """Chains and digests of one topic."""
        report, wanted = LogReport(topic), self._wanted
        partitions = partitions_in(self._store, self._prefix, topic=topic)
        for identity in sorted({(at.cluster_id, at.topic_id) for at in partitions}):
            of_identity = [at for at in partitions if (at.cluster_id, at.topic_id) == identity]
            bounds = self._bounds(of_identity[0])
            chosen = [at for at in of_identity if self._is_wanted(at)]
            chains = [self._chain(at, bounds) for at in chosen if not bounds.not_yet(at.number)]
            report.chains += chains
            if topic == wanted.topic and bounds.bounded:
                self._ranges.append((chosen, bounds))
            if wanted.public_key is not None:
                all_chains = len(chosen) == len(of_identity)
                digests = self._digests(of_identity[0], chains, bounds, all_chains=all_chains)
                report.digests += digests.count
                report.digest_findings += digests.findings
        return report

    def judge(self, report: LogReport) -> None:
        """The ordinals over all partitions, with what the feed declared."""
        wanted, declared = self._wanted, self._declared()
        until_ms = int(wanted.now.timestamp() * 1000) - SETTLING_MS
        began_ms = max((chain.began_ms for chain in report.chains), default=0)
        firsts = declared.firsts(began_ms) if wanted.from_ms is None else {}
        lasts = declared.lasts(until_ms) if wanted.to_ms is None else {}
        report.ordinals = judge_ordinals(self._ledger, declared, firsts=firsts, lasts=lasts)
        if report.ordinals.missing and self._ranges:
            beside = self._look_beside()
            report.ordinals = judge_ordinals(self._ledger, declared, firsts=firsts, lasts=lasts, beside=beside)
        if wanted.whole and began_ms == 0:
            report.ordinals.lineage = judge_lineage(self._ledger.shards(), declared)
        report.ordinal_findings = _as_findings(report.ordinals)

    def judge_item(self, report: LogReport) -> None:
        """The ordinals around one item's changes, over all partitions of the topic's life that has them."""
        declared = self._declared()
        for own in [chain for chain in report.chains if chain.key_links is not None]:
            of_topic = partitions_in(self._store, self._prefix, topic=self._wanted.topic)
            others = [at for at in of_topic if _of_one_life(at, own.partition) and at != own.partition]
            bounds = self._around(own)
            beside = [self._part(at, bounds.span_of(at.number)) for at in others if not bounds.not_yet(at.number)]
            report.beside += beside
            if self._wanted.public_key is not None:
                told = self._digests(own.partition, [own, *beside], bounds, all_chains=True)
                report.digest_findings += [found for found in told.findings if found not in report.digest_findings]
        seen: dict[str, tuple[int, int]] = {}
        for chain in report.chains:
            seen |= chain.key_extents
        report.ordinals = judge_extents(extents_of(seen, declared), self._ledger, declared)
        report.ordinal_findings = _as_findings(report.ordinals)

    def _around(self, own: ChainReport) -> Bounds:
        """The digests around an item's segments, with room for partitions that closed theirs earlier or later."""
        if self._wanted.public_key is None or own.key_links is None:
            return Bounds()  # nothing vouches for where a part begins: all of it
        begin_ms, end_ms = times_around(self._store, self._prefix, own.partition, own.key_links)
        from_ms = None if begin_ms is None else begin_ms - BESIDE_MS
        to_ms = None if end_ms is None else end_ms + BESIDE_MS
        return bounds_of(self._store, self._prefix, own.partition, from_ms=from_ms, to_ms=to_ms)

    def _digests(self, at: Partition, chains: list[ChainReport], bounds: Bounds, *, all_chains: bool) -> DigestReport:
        wanted = self._wanted
        assert wanted.public_key is not None  # noqa: S101 - asked before
        return verify_digests(
            self._store,
            self._prefix,
            at,
            public_key=wanted.public_key,
            anchor=wanted.anchor,
            chains=chains,
            now=wanted.now,
            bounds=bounds,
            all_chains=all_chains,
        )

    def _bounds(self, at: Partition) -> Bounds:
        wanted = self._wanted
        return bounds_of(self._store, self._prefix, at, from_ms=wanted.from_ms, to_ms=wanted.to_ms)

    def _is_wanted(self, at: Partition) -> bool:
        wanted = self._wanted
        if wanted.key is None or at.topic != wanted.topic:
            return True
        return at.number == partition_of_key(wanted.key, wanted.partitions)

    def _chain(self, at: Partition, bounds: Bounds) -> ChainReport:
        """One chain in the range; of the few segments of control events always all."""
        changes = at.topic == self._wanted.topic
        span = bounds.span_of(at.number) if changes else Bounds().span_of(at.number)
        return self._part(at, span, key=self._wanted.key if changes else None)

    def _part(self, at: Partition, span: Span, *, key: bytes | None = None) -> ChainReport:
        """A chain, or a part of it."""
        before, known = self._done, self._known

        def tell(done: int, of: int) -> None:
            self._done, self._known = before + done, known + of
            if self._progress is not None:
                self._progress(self._done, self._known)

        return verify_chain(
            self._store,
            self._prefix,
            at,
            ledger=self._ledger,
            now=self._wanted.now,
            span=span,
            key=key,
            progress=tell,
        )

    def _look_beside(self) -> OrdinalLedger:
        """The ordinals just outside the range; faults there are not this range's."""
        beside, now = OrdinalLedger(), self._wanted.now
        for partitions, bounds in self._ranges:
            around: list[Bounds] = []
            if bounds.after is not None:
                end_ms = bounds.after.digest.to_ms
                around.append(self._between(partitions[0], end_ms - BESIDE_MS, end_ms))
            if bounds.through is not None:
                begin_ms = bounds.through.digest.to_ms
                around.append(self._between(partitions[0], begin_ms, begin_ms + BESIDE_MS))
            for part in around:
                for at in partitions:
                    verify_chain(self._store, self._prefix, at, ledger=beside, now=now, span=part.span_of(at.number))
        return beside

    def _between(self, at: Partition, from_ms: int, to_ms: int) -> Bounds:
        return bounds_of(self._store, self._prefix, at, from_ms=from_ms, to_ms=to_ms)

    def _declared(self) -> Declared:
        """What all control events of the log say; what cannot be read was found by the verification."""
        declared = Declared()
        for at in partitions_in(self._store, self._prefix, topic=self._wanted.topic + CONTROL):
            for named in names_in(self._store, folder_of(self._prefix, at)):
                stored = read_first(self._store, named)
                if stored is None or first_of(named.name) is None:
                    continue
                try:
                    declared_in(read_records(stored.body, name=named.name), declared)
                except FatalError:
                    continue
        return declared


def _of_one_life(one: Partition, other: Partition) -> bool:
    return (one.cluster_id, one.topic_id) == (other.cluster_id, other.topic_id)


def _as_findings(ordinals: OrdinalReport) -> list[Finding]:
    found = [
        Finding(Status.GAP, shard, f"ordinals {first} to {last} are neither held nor declared")
        for shard, holes in ordinals.missing.items()
        for first, last in holes
    ]
    found += [
        Finding(Status.INVALID, shard, f"ordinal {ordinal} is held more than once")
        for shard, repeated in ordinals.repeated.items()
        for ordinal in repeated[:100]  # one fault in the writer would repeat all of them
    ]
    return found + [Finding(Status.GAP, "lineage", sentence) for sentence in ordinals.lineage]
