"""The audit sink: segments of each partition, closed by time or size, chained in the bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter

from connectors.s3 import ObjectStore
from connectors.signing import Signer
from consumers.audit.anchors import Anchor
from consumers.audit.chain import ChainStore
from consumers.audit.digest_keeper import DigestKeeper
from consumers.audit.digest_log import DigestLog
from consumers.audit.segments import Link
from consumers.audit.settings import AuditSettings
from consumers.columns import RecordColumns
from consumers.runtime.contracts import Partition, PartitionWriter, Record
from consumers.uploads import Upload, UploadThreads, Within


class AuditMetrics:
    """What the audit sink counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("feed_sink_audit_records", "Records in stored segments", registry=registry)
        self.segments = Counter("feed_sink_audit_segments", "Segments stored", registry=registry)
        self.failures = Counter(
            "feed_sink_audit_upload_failures", "Tries of an upload that failed and were repeated", registry=registry
        )


class AuditSink:
    """Keeps every record, raw, in hash-chained and locked segments (a :class:`~consumers.runtime.contracts.BatchSink`).

    The bucket is the truth about what is stored: a partition is read from behind the chain's head, also when Kafka's
    commit was lost or lags.

    Args:
        store: the audit bucket.
        settings: sizes and times.
        registry: where the metrics go.
        now_ms: the clock.
        executor: runs the uploads; by default threads, ``settings.parallel_uploads`` of them.
        signer: signs the digests; None: there are none.
        anchor: where the last digest is noted outside the bucket.
    """

    name = "audit"

    def __init__(
        self,
        store: ObjectStore,
        settings: AuditSettings,
        *,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
        executor: Executor | None = None,
        signer: Signer | None = None,
        anchor: Anchor | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.metrics = AuditMetrics(registry)
        self.now_ms = now_ms
        self.executor = executor or UploadThreads(settings.parallel_uploads, "audit-upload")
        self._signer = signer
        self._anchor = anchor
        self._writers: list[AuditWriter] = []

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        """Find the chain's head and continue after it."""
        chain = ChainStore(self.store, self.settings.prefix, partition)
        head = chain.find_head(committed)
        # the commit may lie above the head by the markers of transactions, which no segment holds
        start = max(head.last + 1, committed) if head else committed
        writer = AuditWriter(self, chain, head, start, self._keeper_of(partition))
        self._writers.append(writer)
        return start, writer

    def _keeper_of(self, partition: Partition) -> DigestKeeper | None:
        """The owner of partition 0 keeps the digests of all."""
        if self._signer is None or partition.number != 0:
            return None
        settings = self.settings
        digests = DigestLog(
            store=self.store,
            prefix=settings.prefix,
            partition=partition,
            signer=self._signer,
            anchor=self._anchor,
            retention_days=settings.retention_days,
            now_ms=self.now_ms,
        )
        return DigestKeeper(digests, self.executor, settings.digest_interval_ms)

    def relieve(self) -> None:
        """Close the largest open segment while all together hold more than they may."""
        while sum(writer.nbytes for writer in self._writers) > self.settings.memory_bytes:
            max(self._writers, key=lambda writer: writer.nbytes).flush()

    def forget(self, writer: AuditWriter) -> None:
        """The writer's assignment is over."""
        self._writers.remove(writer)

    def retain_until(self) -> datetime:
        """The lock of a segment that is written now."""
        return datetime.fromtimestamp(self.now_ms() // 1000, UTC) + timedelta(days=self.settings.retention_days)


class AuditWriter:
    """One partition's chain during one assignment: one open segment, at most one on its way."""

    def __init__(
        self, sink: AuditSink, chain: ChainStore, head: Link | None, start: int, keeper: DigestKeeper | None
    ) -> None:
        self._sink = sink
        self._keeper = keeper
        self._chain = chain
        self._head = head
        self._next = start
        self._open = RecordColumns()
        self._opened_at_ms = 0
        self._upload: Upload[Link] | None = None
        self._uploading: RecordColumns | None = None
        self._seen_failures = 0

    @property
    def nbytes(self) -> int:
        """Memory held, about."""
        return self._open.nbytes + (self._uploading.nbytes if self._uploading else 0)

    def add(self, records: Sequence[Record]) -> None:
        """Take records; what the chain holds already is skipped.

        Raises:
            RetryableError: S3 is away and the buffer is full; nothing of ``records`` was taken.
        """
        self._sink.relieve()
        if self._open.nbytes >= self._sink.settings.segment_bytes:
            self._settle(wait=Within(None))
            self._seal()
        fresh = [record for record in records if record.offset() >= self._next]
        if fresh:
            if not self._open:
                self._opened_at_ms = self._sink.now_ms()
            self._open.extend(fresh)
            self._next = self._open.last + 1

    def tick(self, now_ms: int) -> None:
        """Close the open segment when its time or size has come, and see what became of the one on its way."""
        if self._keeper is not None:
            self._keeper.tick(now_ms)
        self._settle()
        settings = self._sink.settings
        due = now_ms - self._opened_at_ms >= settings.segment_ms or self._open.nbytes >= settings.segment_bytes
        if self._open and due and self._upload is None:
            self._seal()

    def flush(self, within_ms: int | None = None) -> None:
        """Store everything taken; returns when it is stored.

        Raises:
            RetryableError: S3 is away, or did not answer within the bound.
        """
        within = Within(within_ms)
        self._settle(wait=within)
        self._seal()
        self._settle(wait=within)

    def durable(self) -> int:
        """The first offset that is not yet in the chain."""
        if self._uploading is not None:
            return self._uploading.first
        return self._open.first if self._open else self._next

    def close(self) -> None:
        """Forget the assignment; an upload under way may still land, which the next owner finds."""
        self._sink.forget(self)

    def _seal(self) -> None:
        if not self._open:
            return
        records, head, until = self._open.table(), self._head, self._sink.retain_until()
        self._uploading, self._open = self._open, RecordColumns()
        self._upload = Upload(self._sink.executor, lambda: self._chain.extend(head, records, until))
        self._settle()

    def _settle(self, *, wait: Within | None = None) -> None:
        if self._upload is None:
            return
        try:
            done = (self._upload.wait(wait),) if wait else self._upload.poll(self._sink.now_ms())
        finally:
            self._count_failures(self._upload)
        if done is None:
            return
        (self._head,) = done
        self._sink.metrics.segments.inc()
        self._sink.metrics.records.inc(len(self._uploading or ()))
        self._upload = self._uploading = None
        self._seen_failures = 0
        if self._open and self._head.last >= self._open.first:  # a former owner's segment reached further than ours
            self._open.drop_through(self._head.last)
        self._next = max(self._next, self._head.last + 1)

    def _count_failures(self, upload: Upload[Link]) -> None:
        self._sink.metrics.failures.inc(upload.failures - self._seen_failures)
        self._seen_failures = upload.failures
