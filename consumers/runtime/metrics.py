"""The metrics of a consumer."""

from __future__ import annotations

from copy import copy

from prometheus_client import CollectorRegistry, Counter, Gauge

from consumers.runtime.reaction import Reaction


class ConsumerMetrics:
    """All series of one consumer; ``sink`` is a label of each, ``partition`` of those that belong to one."""

    def __init__(self, sink: str, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"feed_consumer_{name}", text, ["sink", *labels], registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"feed_consumer_{name}", text, ["sink", *labels], registry=registry)

        self.sink = sink
        self.reaction = Reaction(sink, registry)
        self._records = counter(
            "records_total", "records given to the sink and done, or taken by its writer", "partition"
        )
        self._dead_letters = counter("dead_letters_total", "records kept in the dead-letter topic", "error")
        self._passed_over = counter("passed_over_total", "records that carry nothing for this sink", "reason")
        self._retries = counter("retries_total", "failed tries that are made again", "error")
        self._rebalances = counter("rebalances_total", "partitions assigned, revoked or lost", "kind")
        self._kafka_errors = counter("kafka_errors_total", "errors that the client reported", "error")
        self._commits = counter("commits_total", "commits acknowledged or refused", "outcome")
        self._lag_records = gauge("lag_records", "offsets between the commit and the end", "partition")
        self._lag_seconds = gauge("lag_seconds", "age of the oldest record without durable effect", "partition")
        self._committed = gauge("committed_offset", "the group's committed offset", "partition")
        self._held_records = gauge("held_records", "records in memory, not yet done", "partition")
        self._held_bytes = gauge("held_bytes", "their keys and values", "partition")
        self._parked_keys = gauge("parked_keys", "keys whose effect keeps failing for now", "partition")
        self._span = gauge("uncommitted_span", "offsets that would be read again after a crash", "partition")
        self._paused = gauge("paused", "1 while a bound keeps the partition from being fetched", "partition")

    def beside(self, sink: str) -> ConsumerMetrics:
        """The same series for another sink of this process; its reaction time is kept nowhere."""
        other = copy(self)
        other.sink = sink
        other.reaction = Reaction(sink, CollectorRegistry())
        return other

    def handled(self, partition: int, records: int) -> None:
        """So many records of a partition are done."""
        self._records.labels(self.sink, partition).inc(records)

    def dead_letter(self, error: Exception) -> None:
        """A record went to the dead letters."""
        self._dead_letters.labels(self.sink, type(error).__name__).inc()

    def passed_over(self, reason: str) -> None:
        """A record carried nothing for this sink."""
        self._passed_over.labels(self.sink, reason).inc()

    def retry(self, error: Exception) -> None:
        """A try failed and is made again."""
        self._retries.labels(self.sink, type(error).__name__).inc()

    def rebalance(self, kind: str, partitions: int) -> None:
        """Partitions came or went."""
        self._rebalances.labels(self.sink, kind).inc(partitions)

    def kafka_error(self, name: str) -> None:
        """The client reported an error."""
        self._kafka_errors.labels(self.sink, name).inc()

    def commit(self, outcome: str) -> None:
        """A commit was answered."""
        self._commits.labels(self.sink, outcome).inc()

    def committed(self, partition: int, offset: int) -> None:
        """The group's committed offset moved."""
        self._committed.labels(self.sink, partition).set(offset)

    def lag(self, partition: int, records: int, seconds: float) -> None:
        """How far behind the end a partition is."""
        self._lag_records.labels(self.sink, partition).set(records)
        self._lag_seconds.labels(self.sink, partition).set(seconds)

    def load(self, partition: int, records: int, payload_bytes: int, parked_keys: int, span: int) -> None:
        """What a partition holds."""
        self._held_records.labels(self.sink, partition).set(records)
        self._held_bytes.labels(self.sink, partition).set(payload_bytes)
        self._parked_keys.labels(self.sink, partition).set(parked_keys)
        self._span.labels(self.sink, partition).set(span)

    def paused(self, partition: int, *, paused: bool) -> None:
        """A partition pauses or goes on."""
        self._paused.labels(self.sink, partition).set(int(paused))

    def forget(self, partition: int) -> None:
        """The partition is no longer ours: a stale gauge would be a lie."""
        for gauge in (
            self._lag_records,
            self._lag_seconds,
            self._committed,
            self._held_records,
            self._held_bytes,
            self._parked_keys,
            self._span,
            self._paused,
        ):
            if (self.sink, str(partition)) in gauge._metrics:  # noqa: SLF001 (remove() of an absent child raises)
                gauge.remove(self.sink, str(partition))
