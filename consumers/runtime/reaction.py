"""How long it took from the write of an item to the durable effect, as a histogram that costs little per record."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from decimal import Decimal

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from connectors.telemetry import LATENCY_BUCKETS_S
from schemas.change import Change, Op

TimeOf = Callable[[Change], int | None]
"""When the write behind a change happened, in milliseconds since the epoch; None when the change does not say."""


def time_of(attribute: str | None) -> TimeOf:
    """Take the time from a number attribute of the after-image.

    A delete has no after-image, so it has no time: its before-image holds the time of an earlier write. A row of a
    snapshot has none either: nobody waits for it since its item was written. Without an attribute the time of capture
    is used.
    """
    if attribute is None:
        return lambda change: change.captured_at_ms

    def read(change: Change) -> int | None:
        at_ms = change.after.get(attribute) if change.after is not None and change.op is not Op.READ else None
        return int(at_ms) if isinstance(at_ms, (int, float, Decimal)) else None

    return read


class Reaction(Collector):
    """``feed_reaction_seconds{sink}``. ``prometheus_client``'s histogram walks its buckets one by one; this bisects.

    A negative time (the clock that wrote the item is ahead of ours) counts as zero, and as skewed.
    """

    def __init__(self, sink: str, registry: CollectorRegistry) -> None:
        self._sink = sink
        self._bounds_ms = [bound * 1000 for bound in LATENCY_BUCKETS_S]
        self._counts = [0] * (len(self._bounds_ms) + 1)
        self._sum_ms = 0
        self.skewed = 0
        """How many effects seemed to come before their write."""
        registry.register(self)

    def observe(self, took_ms: int) -> None:
        """Count one effect. Callers are on one thread, or hold one lock."""
        if took_ms < 0:
            self.skewed += 1
            took_ms = 0
        self._counts[bisect_left(self._bounds_ms, took_ms)] += 1
        self._sum_ms += took_ms

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What prometheus_client asks for at a scrape."""
        total, buckets = 0, []
        for bound, count in zip([*map(str, LATENCY_BUCKETS_S), "+Inf"], self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        family = HistogramMetricFamily(
            "feed_reaction_seconds", "from the write of an item to the durable effect of its change", labels=["sink"]
        )
        family.add_metric([self._sink], buckets=buckets, sum_value=self._sum_ms / 1000)
        yield family
