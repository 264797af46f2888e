"""The producer's metrics: by feed and slot, and by shard only as far as monitoring can bear."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from connectors.dynamodb_streams import Page, StreamThrottledError
from producers.stream.filter import Dropped
from producers.stream.metrics import OTHER_SHARDS, SHARD_SERIES_MAX, Batch, Families, Metrics
from producers.stream.reader import Answer


def shards(registry: CollectorRegistry, family: str) -> set[str]:
    return {
        sample.labels["shard"]
        for found in registry.collect()
        if found.name == family
        for sample in found.samples
        if "shard" in sample.labels
    }


def answer(shard: str, page: Page | None) -> Answer:
    error = None if page is not None else StreamThrottledError("simulated", hint="none")
    return Answer(shard, 0, 0, page, error, from_horizon=False)


def test_feeds_of_a_process_have_series_of_their_own() -> None:
    """The same slot of two feeds is counted apart."""
    registry = CollectorRegistry()
    families = Families(registry)
    batch = Batch()
    batch.add_page("s", records=3, size=100, dead=1, filtered={Dropped.OP: 2})
    batch.gaps = 1
    for feed in ("orders", "readings", "readings"):
        Metrics(families, feed).committed(0, batch, commit_ms=7, delays_ms=[5])
    labels = {"feed": "readings", "slot": "0"}
    assert registry.get_sample_value("feed_producer_records_total", labels) == 6
    assert registry.get_sample_value("feed_producer_records_total", {"feed": "orders", "slot": "0"}) == 3
    assert registry.get_sample_value("feed_producer_filtered_total", labels | {"reason": "op"}) == 4
    assert registry.get_sample_value("feed_producer_dead_letters_total", labels) == 2
    assert registry.get_sample_value("feed_producer_gaps_total", labels) == 2
    assert registry.get_sample_value("feed_producer_commit_seconds_count", labels) == 2
    assert registry.get_sample_value("feed_producer_shard_records_total", {"feed": "orders", "shard": "s"}) == 3


def test_reads_are_told_by_slot_and_shard_and_result() -> None:
    """Records, empty answers and throttles apart."""
    registry = CollectorRegistry()
    metrics = Metrics(Families(registry), "orders")
    for page in (Page([{}], "t", 9), Page([], "t", 2), Page([], "t", 2), None):
        metrics.read(3, answer("s", page))
    for result, count in (("records", 1), ("empty", 2), ("throttled", 1)):
        by_slot = {"feed": "orders", "slot": "3", "result": result}
        by_shard = {"feed": "orders", "shard": "s", "result": result}
        assert registry.get_sample_value("feed_producer_reads_total", by_slot) == count
        assert registry.get_sample_value("feed_producer_shard_reads_total", by_shard) == count


def test_thousands_of_shards_are_told_together_beyond_a_bound() -> None:
    """The bound holds; of those together the furthest behind counts, and a shard that goes makes room."""
    registry = CollectorRegistry()
    metrics = Metrics(Families(registry), "orders")
    ages = {(0, f"s{number}"): float(number) for number in range(SHARD_SERIES_MAX + 50)}
    metrics.behind(ages)
    behind = "feed_producer_seconds_behind"
    assert len(shards(registry, behind)) == SHARD_SERIES_MAX + 1
    others = {"feed": "orders", "slot": "0", "shard": OTHER_SHARDS}
    assert registry.get_sample_value(behind, others) == SHARD_SERIES_MAX + 49
    metrics.forget("s0")
    metrics.read(0, answer("late", Page([], "t", 2)))
    assert "late" in shards(registry, "feed_producer_shard_reads")
    assert "s0" not in shards(registry, behind)
    metrics.behind({(0, "s1"): 0.0})
    assert registry.get_sample_value(behind, others) is None, "none is left of them"
