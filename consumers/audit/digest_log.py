"""Writing digests: by the owner of partition 0, at a steady pace, also when idle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.s3 import ObjectStore, PutOutcome
from connectors.signing import Signer
from consumers.audit.anchors import Anchor, Anchored
from consumers.audit.chain import ChainStore
from consumers.audit.digests import (
    Digest,
    SignedDigest,
    digest_folder,
    digest_name,
    number_of,
    read_digest,
    seal,
)
from consumers.audit.reader import partitions_in
from consumers.audit.segments import Link
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError, RetryableError


@dataclass(frozen=True, slots=True)
class DigestLog:
    """The digests of one topic in the bucket. Its methods run in an upload thread, and again after any error.

    Args:
        store: the audit bucket.
        prefix: first part of the segments' names.
        partition: partition 0 of the topic: digests speak for all its partitions.
        signer: signs.
        anchor: where the last digest is noted outside the bucket; None leaves a cut tail unseen.
        retention_days: lock of each digest.
        now_ms: the clock.
    """

    store: ObjectStore
    prefix: str
    partition: Partition
    signer: Signer
    anchor: Anchor | None
    retention_days: int
    now_ms: Callable[[], int]

    def last(self) -> SignedDigest | None:
        """The last digest in the bucket; the anchor is brought up to it when a crash came between.

        Raises:
            FatalError: the anchor knows a digest that the bucket has not.
        """
        folder = digest_folder(self.prefix, self.partition)
        noted = self.anchor.read(self.partition) if self.anchor else None
        after = digest_name(folder, noted.number - 1) if noted and noted.number else ""
        numbers = [number_of(entry.key) for entry in self.store.list(folder, start_after=after)]
        known = [number for number in numbers if number is not None]
        if not known:
            if noted is None:
                return None
            raise FatalError(
                f"digest {noted.number} of {self.partition.topic} is anchored, and the bucket has it no more",
                hint="the end of the audit log was cut off: run `feed audit verify`",
            )
        found = self._read(max(known))
        self._note(found)
        return found

    def write_next(self, last: SignedDigest | None) -> SignedDigest:
        """Write the digest after ``last``, or take up another's that was faster.

        Raises:
            FatalError: the bucket or the anchor holds another history.
            RetryableError: S3, the key or the anchor is away.
        """
        now_ms = self.now_ms()
        digest = Digest(
            number=last.digest.number + 1 if last else 0,
            topic=self.partition.topic,
            cluster_id=self.partition.cluster_id,
            topic_id=self.partition.topic_id,
            from_ms=last.digest.to_ms if last else 0,
            # the last owner's clock may have been ahead: a range is found by halving, so times never go back
            to_ms=max(now_ms, last.digest.to_ms) if last else now_ms,
            previous_sha256=last.sha256 if last else "",
            heads=self._heads(last.digest.heads if last else {}),
        )
        body, signed = seal(digest, self.signer.key_id, self.signer.sign)
        name = digest_name(digest_folder(self.prefix, self.partition), digest.number)
        until = datetime.fromtimestamp(digest.to_ms // 1000, UTC) + timedelta(days=self.retention_days)
        outcome = self.store.put_create_only(
            name, body, {"sha256": signed.sha256}, retain_until=until, content_type="application/json"
        )
        if outcome is PutOutcome.EXISTS:
            signed = self._read(digest.number)
            if signed.digest.previous_sha256 != digest.previous_sha256:
                raise FatalError(
                    f"{self.store.url(name)} follows another digest than the one before it",
                    hint="someone wrote a second history: run `feed audit verify`",
                )
        self._note(signed)
        return signed

    def _heads(self, known: Mapping[int, Link]) -> dict[int, Link]:
        heads: dict[int, Link] = {}
        for partition in partitions_in(self.store, self.prefix, topic=self.partition.topic):
            if (partition.cluster_id, partition.topic_id) != (self.partition.cluster_id, self.partition.topic_id):
                continue
            hint = known[partition.number].last + 1 if partition.number in known else 0
            head = ChainStore(self.store, self.prefix, partition).find_head(hint)
            if head is not None:
                heads[partition.number] = head
        return heads

    def _read(self, number: int) -> SignedDigest:
        name = digest_name(digest_folder(self.prefix, self.partition), number)
        stored = self.store.get(name)
        if stored is None:
            raise RetryableError(f"{self.store.url(name)} is listed and cannot be read", hint="it is tried again")
        return read_digest(stored.body, name)[0]

    def _note(self, signed: SignedDigest) -> None:
        if self.anchor is not None:
            self.anchor.advance(self.partition, Anchored(signed.digest.number, signed.sha256))
