"""A flow's state as metrics and health, for whoever looks at a port: monitoring, a liveness probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from connectors.telemetry import Checks
from mirrormaker.status.flow import FlowStatus
from schemas.errors import FeedError

STATES = ("RUNNING", "FAILED", "PAUSED", "STOPPED", "UNASSIGNED", "RESTARTING")


class StatusWatch:
    """Turns what is asked of flows into metrics and health.

    Args:
        registry: where the metrics go.
        health: red while a task is not running, a record waits for too long, or a cluster does not answer.
        stall_after_ms: so long a record may wait for its copy.
    """

    def __init__(self, registry: CollectorRegistry, health: Checks, *, stall_after_ms: int) -> None:
        self._health = health
        self._stall_after_ms = stall_after_ms
        self._tasks = Gauge("feed_mirror_tasks", "Connectors and tasks by state", ["flow", "state"], registry=registry)
        self._lag = Gauge(
            "feed_mirror_lag_records", "Source records not yet copied, at most", ["flow", "topic"], registry=registry
        )
        self._age = Gauge(
            "feed_mirror_lag_seconds", "How long the oldest of them waits", ["flow", "topic"], registry=registry
        )

    def look(self, flow: str, ask: Callable[[], FlowStatus]) -> tuple[str, ...]:
        """Ask once, and note it; returns what is not as it should be, a sentence each."""
        try:
            status = ask()
        except FeedError as error:
            faults: tuple[str, ...] = (f"{flow}: {error}",)
        else:
            faults = status.faults(stall_after_ms=self._stall_after_ms)
            self._note(status)
        self._health.set(f"mirror-{flow}", ok=not faults, reason=" ".join(faults[:3]) or "it copies")
        return faults

    def _note(self, status: FlowStatus) -> None:
        counts = Counter(task.state for task in status.tasks)
        for state in {*STATES, *counts}:
            self._tasks.labels(status.flow, state).set(counts.get(state, 0))
        for topic in {one.topic for one in status.partitions}:
            of_topic = [one for one in status.partitions if one.topic == topic]
            self._lag.labels(status.flow, topic).set(sum(one.lag_at_most for one in of_topic))
            self._age.labels(status.flow, topic).set(max(one.waiting_ms if one.waits else 0 for one in of_topic) / 1000)
