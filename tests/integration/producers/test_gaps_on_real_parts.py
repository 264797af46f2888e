"""What the stream lost becomes a gap event, by a real table whose shards are aged and forgotten."""

from __future__ import annotations

import time
from typing import Any

import pytest

from feed.testing import until
from schemas.control import ControlKind
from tests.integration.producers.producer_bench import Bench, Found, Writer

pytestmark = pytest.mark.integration

QUICK = {"discovery_interval_ms": 500, "absence_min_ms": 2_000}


def lose_a_shard(bench: Bench, **settings: Any) -> str:
    """Two changes are published, two more are lost with their shard, one is written behind them."""
    writer = Writer(bench.table)
    writer.put("o-1")
    writer.put("o-1")
    worker = bench.worker("before", **settings)
    assert len(bench.wait(lambda f: len(f.changes) == 2).changes) == 2
    worker.stop()
    writer.put("o-1")
    writer.put("o-1")
    ((lost, _),) = bench.table.shards.roll().items()
    bench.table.shards.forget([lost])
    writer.put("o-1")
    return lost


def test_a_lost_shard_is_a_gap_event_and_the_feed_goes_on(bench: Bench) -> None:
    """Policy ``continue``: one gap event that names the shard and the last read position; its child is read."""
    lost = lose_a_shard(bench, gap_policy="continue", **QUICK)
    bench.worker("after", gap_policy="continue", **QUICK)
    found = bench.wait(lambda f: len(f.changes) == 3)
    assert [revision for _, revision in found.changes] == [1, 2, 5]
    (gap,) = found.of(ControlKind.GAP)
    assert (gap.shard, gap.ordinal) == (lost, 1)
    assert gap.sequence == found.changes[1][0].sequence
    assert not gap.certain


def test_under_the_policy_fail_the_worker_stops_until_a_person_says_go_on(bench: Bench) -> None:
    """The gap is told once however often it is started; ``continue`` goes on behind it without telling again."""
    lost = lose_a_shard(bench, **QUICK)
    for name in ("first", "second"):
        worker = bench.worker(name, **QUICK)
        until(lambda worker=worker: worker.pid is None, "the worker's end")  # type: ignore[misc]  # a default argument binds it
        assert b"the shard is unlisted" in worker.printed()
    found = bench.read()
    assert [event.shard for event in found.of(ControlKind.GAP)] == [lost]
    assert len(found.changes) == 2
    bench.worker("third", gap_policy="continue", **QUICK)
    found = bench.wait(lambda f: len(f.changes) == 3)
    assert [revision for _, revision in found.changes] == [1, 2, 5]
    assert len(found.of(ControlKind.GAP)) == 1


def test_a_stream_enabled_anew_is_a_gap_event_and_a_new_epoch(bench: Bench) -> None:
    """Disable, write, enable: the old stream is read to its end, then the new one under epoch 2."""
    writer, client = Writer(bench.table), bench.table.aws.client("dynamodb")
    settings = {"gap_policy": "continue", **QUICK}
    bench.worker("a", **settings)
    writer.put("o-1")
    assert bench.wait(lambda f: len(f.changes) == 1).changes
    client.update_table(TableName=bench.table.name, StreamSpecification={"StreamEnabled": False})
    writer.put("o-1")
    new = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.update_table(TableName=bench.table.name, StreamSpecification=new)
    writer.put("o-1")
    found = bench.wait(lambda f: len(f.changes) == 2)
    assert [(revision, facts.epoch) for facts, revision in found.changes] == [(1, 1), (3, 2)]
    (gap,) = found.of(ControlKind.GAP)
    assert gap.stream == bench.table.stream_arn
    epochs = [(event.slot, event.epoch) for event in found.of(ControlKind.EPOCH)]
    assert sorted(epochs) == sorted((slot, epoch) for slot in range(8) for epoch in (1, 2))


def test_a_shard_whose_data_was_trimmed_is_a_gap_event(bench: Bench) -> None:
    """Records older than a day go while nobody reads: the listed end of the closed shard proves that one was unread."""
    writer = Writer(bench.table)
    writer.put("o-1")
    worker = bench.worker("before", gap_policy="continue", **QUICK)
    assert bench.wait(lambda f: len(f.changes) == 1).changes
    worker.stop()
    writer.put("o-1")
    bench.table.shards.age(25)
    bench.table.shards.roll()
    writer.put("o-1")
    bench.worker("after", gap_policy="continue", refused_max_ms=3_000, **QUICK)

    def enough(found: Found) -> bool:
        return len(found.changes) == 2 and bool(found.of(ControlKind.GAP))

    found = bench.wait(enough)
    assert [revision for _, revision in found.changes] == [1, 3]
    first, _ = found.changes[0]
    assert [(event.shard, event.sequence) for event in found.of(ControlKind.GAP)] == [(first.shard, first.sequence)]
    assert [event.certain for event in found.of(ControlKind.GAP)] == [True]


def test_a_shard_that_was_read_and_aged_out_is_no_certain_gap(bench: Bench) -> None:
    """The position is the shard's last record: the service says "trimmed" all the same, and nothing was lost."""
    writer = Writer(bench.table)
    writer.put("o-1")
    worker = bench.worker("before", gap_policy="continue", **QUICK)
    assert bench.wait(lambda f: len(f.changes) == 1).changes
    worker.stop()
    bench.table.shards.age(25)
    bench.table.shards.roll()
    writer.put("o-1")
    bench.worker("after", gap_policy="continue", refused_max_ms=3_000, **QUICK)
    found = bench.wait(lambda f: len(f.changes) == 2 and bool(f.of(ControlKind.GAP)))
    assert [revision for _, revision in found.changes] == [1, 2]
    assert [event.certain for event in found.of(ControlKind.GAP)] == [False]


def test_workers_share_slots_by_the_newer_group_protocol_too(bench: Bench) -> None:
    """KIP-848: two workers, one leaves, nothing is lost."""
    writer = Writer(bench.table)
    with writer:
        bench.worker("a", group_protocol="consumer")
        second = bench.worker("b", group_protocol="consumer")
        time.sleep(6)
        bench.table.shards.roll()
        second.stop()
        time.sleep(3)
    bench.judge(writer.ledger)
