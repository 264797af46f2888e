"""From the stream of a real table to a real topic."""

from __future__ import annotations

import time
from typing import Any

import pytest

from schemas.control import ControlKind
from tests.integration.producers.producer_bench import Bench, Writer, order

pytestmark = pytest.mark.integration


def test_every_change_arrives_once_and_in_order_while_shards_roll_and_split(bench: Bench) -> None:
    """Rollovers and splits every second under load: nothing missing, nothing twice, per-key order, dense ordinals."""
    writer = Writer(bench.table)
    for name in ("before-1", "before-2"):
        writer.put(name)
    bench.worker("a")
    with writer:
        for number in range(8):
            time.sleep(1.0)
            bench.table.shards.split(2) if number == 3 else bench.table.shards.roll()
    bench.judge(writer.ledger)
    # 1 shard, 3 rolls of it, a split in two, 4 rolls of both; the last ones may have no change, and be listed late
    shards = 1 + 3 + 2 + 8
    found = bench.wait(lambda f: len(f.of(ControlKind.SHARD_START)) >= shards)
    assert len(found.of(ControlKind.SHARD_START)) == shards
    assert len(found.of(ControlKind.EPOCH)) == 8


def test_a_graceful_restart_goes_on_where_it_stopped(bench: Bench) -> None:
    """A worker that is told to stop ends within seconds; the next one continues without a gap or a repetition."""
    writer = Writer(bench.table)
    worker = bench.worker("a")
    with writer:
        bench.wait(lambda f: len(f.changes) >= 100)
        begun = time.monotonic()
        worker.stop()
        assert time.monotonic() - begun < 30.0
        bench.table.shards.roll()
        bench.worker("b")
        time.sleep(3.0)
    bench.judge(writer.ledger)


def test_a_record_that_cannot_be_translated_goes_to_the_dead_letters(bench: Bench) -> None:
    """It takes an ordinal, is told as refused in the same transaction, and the changes behind it go on."""
    client = bench.table.aws.client("dynamodb")
    bad = order("bad", 1)
    bad["total"] = {"S": "not a number"}
    client.put_item(TableName=bench.table.name, Item=order("good", 1))
    client.put_item(TableName=bench.table.name, Item=bad)
    client.put_item(TableName=bench.table.name, Item=order("good", 2))
    bench.worker("a")
    found = bench.wait(lambda f: len(f.changes) >= 2)
    assert [(facts.subject, facts.ordinal) for facts, _ in found.changes] == [("good", 0), ("good", 2)]
    assert found.dead == 1
    (refused,) = found.of(ControlKind.REFUSED)
    assert refused.ordinal == 1


def test_images_of_400_kb_pass(bench: Bench) -> None:
    """An item at DynamoDB's limit, updated: the change has two such images and is no dead letter."""
    client = bench.table.aws.client("dynamodb")
    for revision in (1, 2):
        large: dict[str, Any] = order("large", revision) | {"note": {"S": str(revision) * 395_000}}
        client.put_item(TableName=bench.table.name, Item=large)
    bench.worker("a")
    found = bench.wait(lambda f: len(f.changes) >= 2)
    assert [revision for _, revision in found.changes] == [1, 2]
    assert found.dead == 0
