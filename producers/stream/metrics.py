"""What the producer counts. Written once a batch or a read, never once a record."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from connectors.dynamodb_streams import StreamThrottledError
from connectors.telemetry import LATENCY_BUCKETS_S
from producers.stream.filter import Dropped
from producers.stream.reader import Answer

SHARD_SERIES_MAX = 200
"""Shards of a feed with series of their own in one process; the others are told together, under :data:`OTHER_SHARDS`.

A shard lives for hours and its name never comes back: without a bound, a table with thousands of shards would cost its
monitoring more than its feed.
"""

OTHER_SHARDS = "other"


class Families:
    """The producer's metrics of one process, in the registry that is passed in; each feed in it has its label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"feed_producer_{name}", text, ("feed", *labels), registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"feed_producer_{name}", text, ("feed", *labels), registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(
                f"feed_producer_{name}", text, ("feed", *labels), buckets=LATENCY_BUCKETS_S, registry=registry
            )

        self.records = counter("records", "Changes committed", "slot")
        self.bytes = counter("bytes", "Bytes of stream pages committed", "slot")
        self.filtered = counter("filtered", "Stream records that the filter left out", "slot", "reason")
        self.dead = counter("dead_letters", "Stream records that went to the dead letters", "slot")
        self.gaps = counter("gaps", "Gap events committed", "slot")
        self.aborts = counter("aborts", "Batches aborted and read again", "slot")
        self.takeovers = counter("takeovers", "Times a slot was taken", "slot")
        self.reads = counter("reads", "GetRecords answers by result", "slot", "result")
        self.commit = histogram("commit_seconds", "Commit of a batch", "slot")
        self.delay = histogram(
            "write_to_committed_seconds",
            "From the time that the item names to the commit of its change (a sample of large pages)",
        )
        self.behind = gauge("seconds_behind", "Age of the last record read; 0 at the tip", "slot", "shard")
        self.shard_records = counter("shard_records", "Changes committed, by shard", "shard")
        self.shard_bytes = counter("shard_bytes", "Bytes of stream pages committed, by shard", "shard")
        self.shard_reads = counter("shard_reads", "GetRecords answers by shard and result", "shard", "result")
        self.running = gauge("slots_running", "Slots that run here")
        self.shards = gauge("shards_open", "Shards that are read here")
        self.describes = counter("describe_calls", "DescribeStream calls")


@dataclass(slots=True)
class Batch:
    """What a committed transaction held, as it is counted."""

    records: int = 0
    bytes: int = 0
    dead: int = 0
    gaps: int = 0
    filtered: dict[Dropped, int] = field(default_factory=dict)
    """Records that the filter left out, by reason."""
    shards: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Records and bytes by shard."""

    def add_page(self, shard: str, *, records: int, size: int, dead: int, filtered: Mapping[Dropped, int]) -> None:
        """One more page."""
        self.records += records
        self.bytes += size
        self.dead += dead
        before = self.shards.get(shard, (0, 0))
        self.shards[shard] = (before[0] + records, before[1] + size)
        for reason, count in filtered.items():
            self.filtered[reason] = self.filtered.get(reason, 0) + count


class Metrics:
    """The metrics of one feed's worker."""

    def __init__(self, families: Families, feed: str) -> None:
        self._all, self._feed = families, feed
        self._named: set[str] = set()
        self._lock = threading.Lock()

    def _name(self, shard: str) -> str:
        """The label of a shard: its id while there is room."""
        with self._lock:
            if shard not in self._named and len(self._named) >= SHARD_SERIES_MAX:
                return OTHER_SHARDS
            self._named.add(shard)
            return shard

    def read(self, slot: int, answer: Answer) -> None:
        """An answer of GetRecords, or an error instead of it."""
        if answer.page is not None:
            result = "records" if answer.page.records else "empty"
        else:
            result = "throttled" if isinstance(answer.error, StreamThrottledError) else "error"
        self._all.reads.labels(self._feed, str(slot), result).inc()
        self._all.shard_reads.labels(self._feed, self._name(answer.shard), result).inc()

    def committed(self, slot: int, batch: Batch, *, commit_ms: int, delays_ms: Iterable[int]) -> None:
        """A batch became readable."""
        every, labels = self._all, (self._feed, str(slot))
        every.records.labels(*labels).inc(batch.records)
        every.bytes.labels(*labels).inc(batch.bytes)
        if batch.dead:
            every.dead.labels(*labels).inc(batch.dead)
        if batch.gaps:
            every.gaps.labels(*labels).inc(batch.gaps)
        for reason, count in batch.filtered.items():
            every.filtered.labels(*labels, reason).inc(count)
        for shard, (records, size) in batch.shards.items():
            name = self._name(shard)
            every.shard_records.labels(self._feed, name).inc(records)
            every.shard_bytes.labels(self._feed, name).inc(size)
        every.commit.labels(*labels).observe(commit_ms / 1_000)
        delay = every.delay.labels(self._feed)
        for delay_ms in delays_ms:
            delay.observe(max(0, delay_ms) / 1_000)

    def aborted(self, slot: int) -> None:
        """A batch was aborted."""
        self._all.aborts.labels(self._feed, str(slot)).inc()

    def taken(self, slot: int) -> None:
        """A slot was taken."""
        self._all.takeovers.labels(self._feed, str(slot)).inc()

    def described(self) -> None:
        """DescribeStream was called."""
        self._all.describes.labels(self._feed).inc()

    def behind(self, ages_s: Mapping[tuple[int, str], float]) -> None:
        """How far the shards that are read here are behind, by slot and shard; of those told together, the most."""
        others: dict[int, float] = {}
        self._all.behind.remove_by_labels({"feed": self._feed, "shard": OTHER_SHARDS})
        for (slot, shard), seconds in ages_s.items():
            name = self._name(shard)
            if name == OTHER_SHARDS:
                others[slot] = max(seconds, others.get(slot, 0.0))
            else:
                self._all.behind.labels(self._feed, str(slot), name).set(seconds)
        for slot, seconds in others.items():
            self._all.behind.labels(self._feed, str(slot), OTHER_SHARDS).set(seconds)

    def running(self, slots: int, shards: int) -> None:
        """What runs here."""
        self._all.running.labels(self._feed).set(slots)
        self._all.shards.labels(self._feed).set(shards)

    def forget(self, shard: str) -> None:
        """A shard is finished, or another worker's."""
        with self._lock:
            if shard not in self._named:
                return
            self._named.discard(shard)
        every = self._all
        for family in (every.behind, every.shard_records, every.shard_bytes, every.shard_reads):
            family.remove_by_labels({"feed": self._feed, "shard": shard})
