"""What an audit counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class AuditMetrics:
    """What an audit counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["flow", "topic"]
        self.matched = Counter("feed_mirror_audit_matched", "Copies equal to their original", labels, registry=registry)
        self.differences = Gauge(
            "feed_mirror_audit_differences", "Differences found, by kind", [*labels, "kind"], registry=registry
        )
        self.lag = Gauge(
            "feed_mirror_audit_lag_records", "Source records not yet in the copy", labels, registry=registry
        )
        self.incomplete = Gauge(
            "feed_mirror_audit_missing_ordinals",
            "Ordinals that the copy never got",
            ["flow", "feed"],
            registry=registry,
        )
        self.age = Gauge(
            "feed_mirror_audit_lag_seconds", "How long the oldest of them waits", labels, registry=registry
        )
