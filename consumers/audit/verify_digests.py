"""Verifying the digests of one topic against its chains and the anchor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from connectors.s3 import ObjectStore
from connectors.signing import verifies
from consumers.audit.anchors import Anchor
from consumers.audit.digests import SignedDigest, digest_folder, digest_name, number_of, read_digest
from consumers.audit.findings import Finding, Status
from consumers.audit.ranges import Bounds
from consumers.audit.verify import ChainReport
from consumers.audit.versions import first_versions, names_in
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError


@dataclass(slots=True)
class DigestReport:
    """What was found of the digests of one topic."""

    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def found(self, status: Status, name: str, detail: str) -> None:
        """Add a fault."""
        self.findings.append(Finding(status, name, detail))


def verify_digests(
    store: ObjectStore,
    prefix: str,
    partition: Partition,
    *,
    public_key: bytes,
    anchor: Anchor | None,
    chains: Iterable[ChainReport],
    now: datetime,
    bounds: Bounds | None = None,
    all_chains: bool = True,
) -> DigestReport:
    """Verify numbers, signatures, order and locks of the digests, what they say of the chains, and the anchor.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the segments' names.
        partition: any partition of the topic: digests speak for all of them.
        public_key: PEM.
        anchor: where the last digest is noted outside the bucket; None leaves cut digests unseen.
        chains: what was found of each partition's chain.
        now: a lock that ends before is reported.
        bounds: the range of the digests, both ends included; None: all.
        all_chains: ``chains`` has every partition, so one that a digest names beside them is missing.
    """
    bounds = bounds or Bounds()
    first = bounds.after.digest.number if bounds.after else 0
    walk = _DigestWalk(partition, public_key, {chain.partition.number: chain for chain in chains}, first)
    walk.all_chains = all_chains
    folder = digest_folder(prefix, partition)
    names = names_in(
        store,
        folder,
        after=digest_name(folder, first - 1) if first else "",
        through=digest_name(folder, bounds.through.digest.number) if bounds.through else "",
    )
    names = [named for named in names if number_of(named.name) is not None]
    if not names:
        walk.report.found(Status.MISSING, folder, "there are no digests: nothing vouches for the chains' heads")
    for stored in first_versions(store, names, now=now, found=walk.report.found):
        walk.step(stored.head.key, stored.body)
    if anchor is not None and bounds.through is None:
        walk.check_anchor(folder, anchor)
    return walk.report


class _DigestWalk:
    """Goes along the digests, by number."""

    def __init__(self, partition: Partition, public_key: bytes, chains: dict[int, ChainReport], first: int) -> None:
        self.report = DigestReport()
        self.all_chains = True
        self._partition = partition
        self._public_key = public_key
        self._chains = chains
        self._last: SignedDigest | None = None
        self._expected = first

    def step(self, name: str, body: bytes) -> None:
        """Take the next digest by name."""
        try:
            signed, message = read_digest(body, name)
        except FatalError as error:
            self.report.found(Status.INVALID, name, str(error))
            self._last, self._expected = None, self._expected + 1
            return
        digest = signed.digest
        self.report.count += 1
        if not verifies(self._public_key, message, signed.signature):
            self.report.found(Status.INVALID, name, "its signature is not the key's")
        where = (digest.topic, digest.cluster_id, digest.topic_id, digest.number)
        at = self._partition
        if where != (at.topic, at.cluster_id, at.topic_id, number_of(name)):
            self.report.found(Status.MOVED, name, f"it is digest {digest.number} of another place")
            return
        if digest.number > self._expected:
            gap = f"digests {self._expected} to {digest.number - 1} before it are gone"
            self.report.found(Status.MISSING, name, gap)
        elif self._last is not None and digest.previous_sha256 != self._last.sha256:
            self.report.found(Status.INVALID, name, "it follows another digest than the one before it")
        self._check_heads(name, signed)
        self._last, self._expected = signed, digest.number + 1

    def check_anchor(self, folder: str, anchor: Anchor) -> None:
        """Compare the last digest with what is noted outside the bucket; one step behind is a crash in between."""
        noted = anchor.read(self._partition)
        end = self._last.digest.number if self._last else -1
        if noted is None:
            self.report.found(Status.MISSING, folder, "nothing is anchored")
        elif noted.number > end:
            self.report.found(Status.TRUNCATED, folder, f"digest {noted.number} is anchored, the bucket ends at {end}")
        elif noted.number < end - 1:
            self.report.found(Status.FORKED, folder, f"the anchor stands at {noted.number}, the bucket ends at {end}")
        elif self._last is not None and noted.number == end and noted.sha256 != self._last.sha256:
            self.report.found(Status.FORKED, folder, f"digest {end} is not the one that is anchored")

    def _check_heads(self, name: str, signed: SignedDigest) -> None:
        for number, link in signed.digest.heads.items():
            chain = self._chains.get(number)
            if chain is None and not self.all_chains:
                continue
            found = chain.hashes.get(link.first) if chain is not None else None
            if found is None:
                end = chain.head.number if chain is not None and chain.head is not None else -1
                status = Status.TRUNCATED if end < link.number else Status.MISSING
                detail = f"partition {number} had segment {link.number} at offset {link.first}; its chain ends at {end}"
                self.report.found(status, name, detail)
            elif found != link.sha256:
                detail = f"segment {link.number} of partition {number} was {link.sha256}, found {found}"
                self.report.found(Status.INVALID, name, detail)
