"""Verifying a whole audit log: its chains, its digests, their anchor, and the ordinals over all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from connectors.s3 import ObjectStore
from consumers.audit.anchors import Anchor
from consumers.audit.reader import partitions_in
from consumers.audit.verify import ChainReport, Finding, verify_chain
from consumers.audit.verify_digests import verify_digests
from consumers.columns.ordinals import OrdinalLedger
from consumers.runtime.contracts import Partition


@dataclass(slots=True)
class LogReport:
    """What was found of one topic's log."""

    chains: list[ChainReport] = field(default_factory=list)
    digests: int = 0
    digest_findings: list[Finding] = field(default_factory=list)
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Ranges of ordinals that no segment holds, by shard: gaps that the feed must have declared, or losses."""
    repeated: dict[str, list[int]] = field(default_factory=dict)
    """Ordinals held more than once, by shard."""

    @property
    def findings(self) -> list[Finding]:
        """All faults of segments and digests."""
        return [*(finding for chain in self.chains for finding in chain.findings), *self.digest_findings]

    @property
    def valid(self) -> bool:
        """True when nothing was found at all."""
        return not (self.findings or self.missing or self.repeated)


def verify_log(
    store: ObjectStore,
    prefix: str,
    topic: str,
    *,
    now: datetime,
    public_key: bytes | None = None,
    anchor: Anchor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Verify every chain of a topic, and its digests where the public key is given.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the segments' names.
        topic: whose log.
        now: locks that end before are reported.
        public_key: PEM; None leaves the digests out.
        anchor: where the last digest is noted outside the bucket; None leaves a cut tail of digests unseen.
        progress: told after each partition how many of how many are done.
    """
    report, ledger = LogReport(), OrdinalLedger()
    partitions = partitions_in(store, prefix, topic=topic)
    for done, partition in enumerate(partitions, start=1):
        report.chains.append(verify_chain(store, prefix, partition, ledger=ledger, now=now))
        if progress is not None:
            progress(done, len(partitions))
    if public_key is not None:
        for identity in sorted({_identity(partition) for partition in partitions}):
            at = Partition(*identity, topic, 0)
            chains = [chain for chain in report.chains if _identity(chain.partition) == identity]
            digests = verify_digests(store, prefix, at, public_key=public_key, anchor=anchor, chains=chains)
            report.digests += digests.count
            report.digest_findings += digests.findings
    report.missing, report.repeated = ledger.missing(), ledger.repeated()
    return report


def _identity(partition: Partition) -> tuple[str, str]:
    return partition.cluster_id, partition.topic_id
