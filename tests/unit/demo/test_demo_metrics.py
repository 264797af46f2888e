"""The numbers of the live table: Prometheus text, quantiles, counts over several lives of a process."""

from __future__ import annotations

import math
import random
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from connectors.telemetry import LATENCY_BUCKETS_S
from feed.demo.live import Snapshot, consumer_row, plain, topic_row
from feed.demo.metrics import difference, merge, parse, quantile
from feed.demo.scrape import Reading


def exposed(records: int, seconds: list[float]) -> str:
    """What a consumer's /metrics says."""
    registry = CollectorRegistry()
    counter = Counter("feed_consumer_records_total", "", ["sink", "partition"], registry=registry)
    counter.labels("audit", 0).inc(records)
    counter.labels("audit", 1).inc(1)
    gauge = Gauge("feed_consumer_lag_seconds", "", ["sink", "partition"], registry=registry)
    gauge.labels('od"d\\', 0).set(2.5)
    gauge.labels("audit", 1).set(0.5)
    histogram = Histogram("feed_reaction_seconds", "", ["sink"], buckets=LATENCY_BUCKETS_S, registry=registry)
    for second in seconds:
        histogram.labels("audit").observe(second)
    return generate_latest(registry).decode()


def test_what_prometheus_client_writes_is_read() -> None:
    """Totals, largest values and buckets are those that were set, whatever the labels hold."""
    samples = parse(exposed(7, [0.01, 0.02]))
    assert samples.total("feed_consumer_records_total") == 8
    assert samples.largest("feed_consumer_lag_seconds") == 2.5
    assert samples.by_name["feed_consumer_lag_seconds"][0].labels["sink"] == 'od\\"d\\\\'
    assert samples.buckets("feed_reaction_seconds")[math.inf] == 2


def test_lines_that_are_no_samples_are_passed_over() -> None:
    """Comments, other prefixes, broken lines and values that are no numbers do no harm."""
    samples = parse('# HELP feed_a x\nother_b 1\nfeed_c\nfeed_d{x="1" 2\nfeed_e abc\nfeed_f 3\n')
    assert list(samples.by_name) == ["feed_f"]


@given(st.lists(st.floats(0.005, 60), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
@settings(deadline=None)
def test_a_quantile_lies_in_the_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    """The estimate is off by at most the width of one bucket (15 %)."""
    samples = parse(exposed(1, seconds))
    true = sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]
    place = bisect_left(LATENCY_BUCKETS_S, true)
    lower = LATENCY_BUCKETS_S[place - 1] if place else 0.0
    upper = LATENCY_BUCKETS_S[min(place, len(LATENCY_BUCKETS_S) - 1)]
    assert lower <= quantile(samples.buckets("feed_reaction_seconds"), share) <= upper * 1.000001


def test_a_quantile_of_nothing_is_nan_and_of_the_far_end_is_the_last_bound() -> None:
    """No observations: nothing to say; above all bounds: the highest bound, no infinity."""
    assert math.isnan(quantile({}, 0.5))
    assert math.isnan(quantile({1.0: 0, math.inf: 0}, 0.5))
    assert quantile({1.0: 0, 2.0: 0, math.inf: 5}, 0.5) == 2.0


def test_counts_survive_a_kill() -> None:
    """A counter and a histogram that begin at zero again go on from what they were."""
    reading = Reading()
    for text in (exposed(10, [0.1]), exposed(20, [0.1, 0.2]), exposed(3, [0.4]), exposed(5, [0.4, 0.5])):
        reading.take(parse(text))
    assert reading.counted("feed_consumer_records_total") == 21 + 6
    assert reading.reactions[math.inf] == 4


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.lists(st.integers(0, 50), min_size=3, max_size=3))
@settings(deadline=None)
def test_histograms_add_up(first: list[int], more: list[int]) -> None:
    """What was seen before, and what came since, are together what is seen now."""
    bounds = (1.0, 2.0, math.inf)
    then = dict(zip(bounds, _cumulative(first), strict=True))
    grown = [a + b for a, b in zip(first, more, strict=True)]
    now = dict(zip(bounds, _cumulative(grown), strict=True))
    assert merge([then, difference(now, then)]) == now


def _cumulative(counts: list[int]) -> list[float]:
    return [float(sum(counts[: place + 1])) for place in range(len(counts))]


def test_a_plain_line_names_every_row() -> None:
    """Without a terminal one line says how far each region and consumer is."""
    reading = Reading()
    reading.take(parse(exposed(9, [0.25] * random.Random(1).randint(5, 9))))
    rows = [topic_row("us", 5, 7, 1.5, {1.0: 5, math.inf: 5}), consumer_row("eu", "audit", reading)]
    line = plain(Snapshot("writing", "7 writes", rows))
    assert "us topic 5 p99" in line
    assert "eu audit 10 p99" in line
    assert rows[0].lag_records == 2


def test_control_events_are_not_counted_as_changes() -> None:
    """A store's process serves both topics' series; the table of changes shows those of the changes."""
    found = parse(
        'feed_consumer_records_total{partition="0",sink="audit"} 3.0\n'
        'feed_consumer_records_total{partition="0",sink="audit-control"} 5.0\n'
    )
    assert found.total("feed_consumer_records_total") == 3
