"""What the producer counts. Written once a batch or a read, never once a record."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from connectors.dynamodb_streams import StreamThrottledError
from connectors.telemetry import LATENCY_BUCKETS_S
from producers.stream.reader import Answer


class Metrics:
    """The metrics of one worker, in the registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"feed_producer_{name}", text, labels, registry=registry)

        self._records = counter("records", "Changes committed", "slot")
        self._bytes = counter("bytes", "Bytes of stream pages committed", "slot")
        self._dead = counter("dead_letters", "Stream records that went to the dead letters", "slot")
        self._gaps = counter("gaps", "Gap events committed", "slot")
        self._aborts = counter("aborts", "Batches aborted and read again", "slot")
        self._takeovers = counter("takeovers", "Times a slot was taken", "slot")
        self._reads = counter("reads", "GetRecords answers by result", "result")
        self._commit = Histogram(
            "feed_producer_commit_seconds", "Commit of a batch", buckets=LATENCY_BUCKETS_S, registry=registry
        )
        self._delay = Histogram(
            "feed_producer_write_to_committed_seconds",
            "From the time that the item names to the commit of its change (a sample of large pages)",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._behind = Gauge(
            "feed_producer_seconds_behind", "Age of the last record read; 0 at the tip", ["shard"], registry=registry
        )
        self._running = Gauge("feed_producer_slots_running", "Slots that run here", registry=registry)
        self._shards = Gauge("feed_producer_shards_open", "Shards that are read here", registry=registry)

    def read(self, answer: Answer) -> None:
        """An answer of GetRecords, or an error instead of it."""
        if answer.page is not None:
            result = "records" if answer.page.records else "empty"
        else:
            result = "throttled" if isinstance(answer.error, StreamThrottledError) else "error"
        self._reads.labels(result).inc()

    def committed(
        self, slot: int, *, records: int, size: int, dead: int, gaps: int, commit_ms: int, delays_ms: Iterable[int]
    ) -> None:
        """A batch became readable."""
        label = str(slot)
        self._records.labels(label).inc(records)
        self._bytes.labels(label).inc(size)
        if dead:
            self._dead.labels(label).inc(dead)
        if gaps:
            self._gaps.labels(label).inc(gaps)
        self._commit.observe(commit_ms / 1_000)
        for delay_ms in delays_ms:
            self._delay.observe(max(0, delay_ms) / 1_000)

    def aborted(self, slot: int) -> None:
        """A batch was aborted."""
        self._aborts.labels(str(slot)).inc()

    def taken(self, slot: int) -> None:
        """A slot was taken."""
        self._takeovers.labels(str(slot)).inc()

    def behind(self, shard: str, seconds: float) -> None:
        """How far a shard is behind."""
        self._behind.labels(shard).set(seconds)

    def running(self, slots: int, shards: int) -> None:
        """What runs here."""
        self._running.set(slots)
        self._shards.set(shards)

    def forget(self, shard: str) -> None:
        """A shard is finished, or another worker's."""
        self._behind.remove_by_labels({"shard": shard})
