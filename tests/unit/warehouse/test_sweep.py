"""Picks at the end of a snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, create_effect_table
from connectors.messaging import Message
from consumers.warehouse import KEY, WarehouseSettings, WarehouseSink, sweep
from schemas.change import Op
from schemas.errors import RetryableError
from schemas.marker import SnapshotMarker
from schemas.partitioner import partition_of_key
from schemas.version import Version, end_of_epoch_before
from tests.unit.order_changes import change, life, order

PARTITIONS = 4


class Queue:
    """A messenger that can fail once, before taking the message."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.failing: Exception | None = None

    def send(self, message: Message) -> str:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing
        self.taken.append(message)
        return "m"


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made: Any = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        create_effect_table(made, "picks", KEY)
        yield made


def sink(client: Any, queue: Queue | None = None) -> WarehouseSink:
    table = EffectTable(client, "picks")
    return WarehouseSink(table, WarehouseSettings(), registry=CollectorRegistry(), now_ms=lambda: 1, queue=queue)


def row(order_id: str, revision: int, status: str = "paid", epoch: int = 2) -> Any:
    """A row of a snapshot."""
    after = order(status, revision, orderId=order_id)
    return change(Op.READ, None, after, sequence=0, epoch=epoch, order_id=order_id)


def complete(warehouse: WarehouseSink, *, epoch: int = 2) -> None:
    """The markers of all partitions, each until it is done."""
    for partition in range(PARTITIONS):
        while not warehouse.snapshot_complete(SnapshotMarker(epoch, partition, PARTITIONS, 5)):
            pass


def picks(client: Any) -> dict[str, tuple[str, str]]:
    """Order → what is to be done, and the version."""
    items = client.scan(TableName="picks", ConsistentRead=True)["Items"]
    return {item[KEY]["S"]: (item["pickStatus"]["S"], item["version"]["S"]) for item in items}


def test_orders_that_the_snapshot_did_not_see_are_cancelled(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open picks of a former epoch go; rows, later changes, and what was closed or cancelled before stay."""
    monkeypatch.setattr(sweep, "PAGE_ITEMS", 2)
    warehouse = sink(client)
    for number in range(6):
        for one in life("created", "paid", order_id=f"o-{number}"):
            warehouse.handle(one)
    for one in life("created", "delivered", order_id="o-closed"):
        warehouse.handle(one)
    warehouse.handle(row("o-0", 2))
    later = order("paid", 3, orderId="o-1")
    warehouse.handle(change(Op.UPDATE, later, later, sequence=7, epoch=2, order_id="o-1"))
    complete(warehouse)
    found = picks(client)
    end = end_of_epoch_before(2).to_text()
    assert found["o-0"] == ("open", Version(2, 0).to_text())
    assert found["o-1"] == ("open", Version(2, 7).to_text())
    assert {order: found[order] for order in ("o-2", "o-3", "o-4", "o-5")} == dict.fromkeys(
        ("o-2", "o-3", "o-4", "o-5"), ("cancelled", end)
    )
    assert found["o-closed"][0] == "closed"
    before = picks(client)
    complete(warehouse)
    assert picks(client) == before, "again without effect"


def test_a_sweep_takes_only_its_partition(client: Any) -> None:
    """Rows of the other partitions may still be on their way."""
    warehouse = sink(client)
    orders = [f"o-{number}" for number in range(20)]
    for one in orders:
        warehouse.handle(life("created", order_id=one)[0])
    while not warehouse.snapshot_complete(SnapshotMarker(2, 1, PARTITIONS, 5)):
        pass
    swept = {order for order, (status, _) in picks(client).items() if status == "cancelled"}
    assert swept == {one for one in orders if partition_of_key(one.encode(), PARTITIONS) == 1}


def test_a_row_out_of_the_dead_letters_still_counts(client: Any) -> None:
    """Its item was swept since it had no row; retried, the row is newer than that."""
    warehouse = sink(client)
    warehouse.handle(life("created")[0])
    complete(warehouse)
    assert picks(client)["o-1"][0] == "cancelled"
    warehouse.handle(row("o-1", 1))
    assert picks(client)["o-1"] == ("open", Version(2, 0).to_text())


def test_cancelled_picks_are_handed_over_whatever_crashes(client: Any) -> None:
    """A crash between the write and the queue: the sweep finds its own work again."""
    queue = Queue()
    warehouse = sink(client, queue)
    warehouse.handle(life("created")[0])
    marker = SnapshotMarker(2, partition_of_key(b"o-1", PARTITIONS), PARTITIONS, 5)
    queue.failing = RetryableError("away", hint="wait")
    with pytest.raises(RetryableError):
        warehouse.snapshot_complete(marker)
    again = sink(client, queue)
    assert again.snapshot_complete(marker)
    assert [json.loads(message.text)["pickStatus"] for message in queue.taken] == ["open", "cancelled"]
    assert queue.taken[-1].dedupe_id == f"{marker.event_id}:o-1"


def test_a_row_is_not_counted_as_a_change(client: Any) -> None:
    """Where it repeats what is known the pick's counts still prove that nothing was missed; where not, they show it."""
    warehouse = sink(client)
    for one in life("created", "paid"):
        warehouse.handle(one)
    warehouse.handle(row("o-1", 2))
    (item,) = client.scan(TableName="picks")["Items"]
    assert [item[name]["N"] for name in ("firstNumber", "lastNumber", "changes")] == ["1", "2", "2"]
    warehouse.handle(row("o-1", 5, epoch=3))
    (item,) = client.scan(TableName="picks")["Items"]
    assert [item[name]["N"] for name in ("firstNumber", "lastNumber", "changes")] == ["1", "5", "2"]
