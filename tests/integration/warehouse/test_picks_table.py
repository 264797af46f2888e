"""The warehouse on DynamoDB: what stands in a pick whatever arrives, and however often."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.json_calls import JsonCalls
from consumers.warehouse import KEY, WarehouseSettings, WarehouseSink
from feed.local import DynamoDbLocal
from feed.local.ports import free_port
from feed.testing import aws_settings, unique_name
from schemas.change import Change, Op
from schemas.errors import ConfigError, FatalError, PoisonError
from tests.unit.order_changes import change, life, order

pytestmark = pytest.mark.integration


class Warehouse:
    """A sink on a table of its own."""

    def __init__(self, client: Any, keep_history: int = 100, calls: JsonCalls | None = None) -> None:
        self.name = unique_name("picks")
        create_effect_table(client, self.name, KEY)
        self.table = EffectTable(client, self.name, calls=calls)
        self.registry = CollectorRegistry()
        self.clock_ms = 1_000
        settings = WarehouseSettings(table=self.name, keep_history=keep_history)
        self.sink = WarehouseSink(self.table, settings, registry=self.registry, now_ms=self.tick)

    def tick(self) -> int:
        self.clock_ms += 1
        return self.clock_ms

    def handle(self, *changes: Change) -> dict[str, Any]:
        for each in changes:
            self.sink.handle(each)
        item = self.table.get({KEY: {"S": "o-1"}}, consistent=True)
        assert item is not None
        return {name: next(iter(value.values())) for name, value in item.items()}

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("feed_warehouse_changes_total", {"outcome": outcome}) or 0


@pytest.fixture(scope="module")
def client(dynamodb_local) -> Any:
    return AwsClients(aws_settings(dynamodb_local.endpoint)).client("dynamodb")


@pytest.fixture(params=["boto3", "json calls"])
def warehouse(request: pytest.FixtureRequest, dynamodb_local: DynamoDbLocal, client: Any) -> Warehouse:
    """Both ways to write: boto3's, and the cheaper one of production."""
    calls = AwsClients(aws_settings(dynamodb_local.endpoint)).dynamodb_calls() if request.param != "boto3" else None
    return Warehouse(client, calls=calls)


def seen(pick: dict[str, Any]) -> list[str]:
    return [entry["S"] for entry in pick.get("seen", [])]


def test_a_life_from_created_to_delivered(warehouse: Warehouse) -> None:
    """Each change is acted on once, in order; the pick starts with the first and closes with the last."""
    pick = warehouse.handle(*life("created", "paid", "packed", "shipped", "delivered"))
    assert seen(pick) == ["1:created", "2:paid", "3:packed", "4:shipped", "5:delivered"]
    assert (pick["pickStatus"], pick["orderStatus"], pick["deleted"]) == ("closed", "delivered", False)
    assert (pick["changes"], pick["firstNumber"], pick["lastNumber"]) == ("5", "1", "5")
    assert pick["startedBy"] == "shardId-1:10"
    assert int(pick["startedAt"]) < int(pick["reactedAt"])
    assert pick["version"] == life("delivered", first=5)[0].version.to_text()


def test_every_order_of_arrival_ends_alike(client: Any) -> None:
    """Whatever the order of arrival and however often each comes, the newest change stands, and none acts twice."""
    changes = life("created", "paid", "shipped", deleted=True)
    ends = set()
    for arrival in itertools.permutations(changes):
        warehouse = Warehouse(client)
        pick = warehouse.handle(*arrival, *arrival)
        ends.add((pick["version"], pick["pickStatus"], pick["deleted"], pick["orderStatus"]))
        assert int(pick["changes"]) == len(seen(pick)) == len(set(seen(pick))) == warehouse.count("acted")
        assert warehouse.count("acted") + warehouse.count("seen") == 2 * len(changes)
    assert len(ends) == 1


def test_a_repeat_changes_nothing(warehouse: Warehouse) -> None:
    """The same change again, as after a crash between effect and commit, leaves every attribute as it was."""
    before = warehouse.handle(*life("created", "paid"))
    after = warehouse.handle(*life("created", "paid"))
    assert after == before
    assert warehouse.count("seen") == 2


def test_an_order_whose_first_event_was_lost_starts_a_pick(warehouse: Warehouse) -> None:
    """A change that is not the last word opens the pick of an unknown order; a create that comes later is old."""
    created, paid = life("created", "paid")
    pick = warehouse.handle(paid)
    assert (pick["pickStatus"], pick["startedBy"]) == ("open", paid.source.event_id)
    assert warehouse.handle(created) == pick


@pytest.mark.parametrize("last", ["cancelled", "delivered"])
def test_a_last_word_on_an_unknown_order_starts_nothing(warehouse: Warehouse, last: str) -> None:
    """Nothing is to be picked for an unknown order that is over: the row says so and has no start."""
    pick = warehouse.handle(life("created", last)[-1])
    assert "startedAt" not in pick
    assert pick["pickStatus"] in {"cancelled", "closed"}


def test_a_delete_before_its_create_wins(warehouse: Warehouse) -> None:
    """A delete leaves a tombstone, so that the create that it followed starts nothing when it comes late."""
    created, deleted = life("created", deleted=True)
    pick = warehouse.handle(deleted, created)
    assert (pick["deleted"], pick["pickStatus"]) == (True, "cancelled")
    assert "startedAt" not in pick


def test_an_order_created_again_starts_anew(warehouse: Warehouse) -> None:
    """A second life under the same key begins a second pick and counts anew."""
    warehouse.handle(*life("created", "paid", deleted=True))
    second = life("created", "paid", first=4)
    pick = warehouse.handle(*second)
    assert pick["startedBy"] == second[0].source.event_id
    assert (pick["changes"], pick["firstNumber"], pick["lastNumber"], pick["deleted"]) == ("2", "4", "5", False)
    assert seen(pick) == ["1:created", "2:paid", "3:deleted", "4:created", "5:paid"]


def test_a_row_of_a_first_load(warehouse: Warehouse) -> None:
    """A first-load row starts the pick of an unknown order, and does nothing where its epoch is known."""
    row = change(Op.READ, None, order("paid", 2), sequence=0)
    pick = warehouse.handle(row)
    assert (pick["pickStatus"], pick["lastNumber"]) == ("open", "2")
    later = warehouse.handle(life("created", "paid", "packed")[-1])
    assert later["changes"] == "2"
    assert warehouse.handle(row) == later


def test_a_reload_under_a_new_epoch_applies(warehouse: Warehouse) -> None:
    """After a gap the rows of the next epoch stand above everything of the one before."""
    warehouse.handle(*life("created", "paid"))
    pick = warehouse.handle(change(Op.READ, None, order("shipped", 4), sequence=0, epoch=2))
    assert pick["orderStatus"] == "shipped"
    assert pick["version"].startswith("0000000002.")


def test_an_item_too_large_is_poison(warehouse: Warehouse) -> None:
    """What DynamoDB will never take goes to the dead letters instead of being tried for ever."""
    with pytest.raises(PoisonError, match="does not take the item"):
        warehouse.handle(change(Op.CREATE, None, order("x" * 500_000, 1), sequence=10))


def test_a_missing_table_is_told(client: Any) -> None:
    """A table that is not there is one clear sentence at the start, and fatal later."""
    table = EffectTable(client, "nowhere")
    with pytest.raises(ConfigError, match="table nowhere does not exist"):
        table.check(KEY)
    sink = WarehouseSink(table, WarehouseSettings(), registry=CollectorRegistry(), now_ms=lambda: 1)
    with pytest.raises(FatalError):
        sink.handle(life("created")[0])
    other = unique_name("picks")
    create_effect_table(client, other, "another")
    with pytest.raises(ConfigError, match="has the key another; this sink needs orderId"):
        EffectTable(client, other).check(KEY)


def test_opening_checks_the_table_unless_it_does_not_answer(dynamodb_local) -> None:
    """A missing table is one clear sentence at the start; a service that is away is no fault of the configuration."""
    here = AwsClients(aws_settings(dynamodb_local.endpoint))
    with pytest.raises(ConfigError, match="table nowhere does not exist"):
        WarehouseSink.open(WarehouseSettings(table="nowhere"), here, registry=CollectorRegistry(), now_ms=lambda: 1)
    away = AwsClients(aws_settings(f"http://127.0.0.1:{free_port()}"))
    assert WarehouseSink.open(WarehouseSettings(), away, registry=CollectorRegistry(), now_ms=lambda: 1)
