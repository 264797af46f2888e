"""The guide's rows for a copy's region that is gone: what warehouse and analytics do when they go on in another one.

Their groups have no offsets there (MirrorMaker copies one way), so they begin at the oldest record and are given
everything again, at other offsets of another cluster and topic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, create_effect_table
from connectors.messaging import Message
from consumers.runtime.contracts import Partition
from consumers.warehouse import KEY, WarehouseSettings, WarehouseSink
from schemas.change import Op
from tests.unit.analytics.loading import Process, change, current, history, record
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse
from tests.unit.order_changes import life

STEPS = ("created", "paid", "picking", "shipped", "delivered")


class Queue:
    """Remembers what was handed over."""

    def __init__(self) -> None:
        self.taken: list[Message] = []

    def send(self, message: Message) -> str:
        self.taken.append(message)
        return "m"


@pytest.fixture
def picks() -> Iterator[Any]:
    with mock_aws():
        client: Any = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        for table in ("picks", "undisturbed"):
            create_effect_table(client, table, KEY)
        yield client


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    made = MemoryWarehouse(MemoryStore())
    yield made
    made.engine.close()


def warehouse_of(client: Any, table: str, queue: Queue | None = None) -> WarehouseSink:
    return WarehouseSink(
        EffectTable(client, table), WarehouseSettings(), registry=CollectorRegistry(), now_ms=lambda: 1, queue=queue
    )


def test_us_is_gone_and_the_warehouse_goes_on_in_eu(picks: Any) -> None:
    """On the same picks, a topic read again from its start changes nothing, and what is new goes on from there.

    The queue hears the newest change of an order once more, under the same id: a repeat cannot be told from a change
    whose hand-over failed.
    """
    changes = life(*STEPS)
    queue = Queue()
    before = warehouse_of(picks, "picks", queue)
    for one in changes[:3]:
        before.handle(one)
    handed = len(queue.taken)
    moved = warehouse_of(picks, "picks", queue)
    for one in changes[:3]:
        moved.handle(one)
    assert [message.dedupe_id for message in queue.taken[handed:]] == [changes[2].source.event_id]
    undisturbed = warehouse_of(picks, "undisturbed")
    for one in changes:
        undisturbed.handle(one)
    for one in changes[3:]:
        moved.handle(one)
    rows = [picks.scan(TableName=table)["Items"] for table in ("picks", "undisturbed")]
    assert rows[0] == rows[1]
    assert rows[0]


def test_us_is_gone_and_the_picks_with_it(picks: Any) -> None:
    """With an empty table the picks come again from what eu still holds, and count what was missed."""
    changes = life(*STEPS)
    moved = warehouse_of(picks, "picks")
    for one in changes[2:]:
        moved.handle(one)
    (row,) = picks.scan(TableName="picks")["Items"]
    assert "startedAt" in row
    assert (row["firstNumber"]["N"], row["lastNumber"]["N"]) == ("3", "5")


@pytest.mark.parametrize("kept_from", [0, 2])
def test_ap_is_gone_and_analytics_goes_on_in_eu(warehouse: MemoryWarehouse, kept_from: int) -> None:
    """In the same data warehouse another cluster is another row of the ledger: what was loaded is loaded into itself.

    Also when the new region no longer has the first records.
    """
    statuses = ("created", "created", "paid", "paid", "picking", "shipped")
    orders = [change(n, f"o-{n % 2}", sequence=10 + n, status=status) for n, status in enumerate(statuses)]
    orders.append(change(6, "o-0", sequence=16, op=Op.DELETE))
    _, writer = Process(warehouse).open()
    writer.add([record(offset, one) for offset, one in enumerate(orders[:4])])
    writer.flush()
    process = Process(warehouse)
    start, again = process.sink.open(Partition("cluster-eu", "topic-eu", "orders", 0), 0)
    assert start == 0
    again.add([record(700 + 2 * offset, one) for offset, one in enumerate(orders) if offset >= kept_from])
    again.flush()
    assert current(warehouse) == {"o-1": "shipped"}
    assert history(warehouse) == [one.source.event_id for one in orders]
