"""The warehouse's look-up in a replica that the stand-in for global tables keeps: at once, later, never."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb import EffectTable, create_effect_table
from consumers.runtime.contracts import NotYetError
from consumers.warehouse import KEY, WarehouseSettings, WarehouseSink
from feed.local import DynamoDbLocal, Site
from feed.local.replicator import Replicator, replica_table
from feed.testing import RollingTable, create_table, unique_name, until
from schemas.change import Change
from tests.unit.order_changes import life

pytestmark = pytest.mark.integration

HOME, AWAY = "eu-west-1", "us-east-1"
WAIT_MS = 1_500


def aws_of(endpoint: str, region: str) -> AwsClients:
    """In memory DynamoDB Local keeps regions apart, as long as the account is the same."""
    keys = {"access_key_id": "local", "secret_access_key": "local-secret"}
    endpoints = {"dynamodb": endpoint, "dynamodbstreams": endpoint}
    return AwsClients(AwsSettings.model_validate({"region": region, "endpoints": endpoints, **keys}))


class Regions:
    """A table at home, its replica, and the warehouse beside the replica."""

    def __init__(self, server: DynamoDbLocal, site: Site, *, delay_ms: int) -> None:
        self.table, self.picks = unique_name("orders"), unique_name("picks")
        home, away = aws_of(server.endpoint, HOME), aws_of(server.endpoint, AWAY)
        create_table(home, self.table)
        create_effect_table(away.client("dynamodb"), self.picks, KEY)
        self.home = home.client("dynamodb")
        self.replica = EffectTable(away.client("dynamodb"), replica_table(self.table, AWAY))
        self.pick_table = EffectTable(away.client("dynamodb"), self.picks)
        self.replicator = Replicator(
            site,
            endpoint=server.endpoint,
            table=self.table,
            home=HOME,
            replicas={AWAY: self.replica.name},
            delay_ms=delay_ms,
        )
        self.registry = CollectorRegistry()
        look_up = {"table": self.replica.name, "version_attribute": "revision", "attributes": ["note"]}
        settings = WarehouseSettings.model_validate(
            {"table": self.picks, "look_up": look_up | {"wait_ms": WAIT_MS, "poll_ms": 20}}
        )
        self.sink = WarehouseSink.open(settings, away, registry=self.registry, now_ms=lambda: 1)

    def write(self, change: Change) -> None:
        """The order service's write, with an attribute that the event does not carry."""
        assert change.after is not None
        number = change.after["revision"]
        item = {**change.key, "revision": {"N": str(number)}, "note": {"S": f"note {number}"}}
        self.home.put_item(TableName=self.table, Item=item)

    def handle(self, change: Change) -> tuple[dict[str, Any], float]:
        """The warehouse's reaction: the pick, and how long it took."""
        began = time.monotonic()
        while True:
            try:
                self.sink.handle(change)
                break
            except NotYetError as early:  # as the runtime does, which does not stand still meanwhile
                time.sleep(max(0.0, early.due_ms / 1000 - time.time()))
        took_ms = (time.monotonic() - began) * 1_000
        item = self.pick_table.get({KEY: change.key["orderId"]}, consistent=True)
        assert item is not None
        return {name: next(iter(value.values())) for name, value in item.items()}, took_ms

    def stood(self, standing: str) -> float:
        return self.registry.get_sample_value("feed_warehouse_look_ups_total", {"standing": standing}) or 0


@pytest.fixture
def regions(dynamodb_local: DynamoDbLocal, local_site: Site) -> Callable[[int], Any]:
    @contextmanager
    def make(delay_ms: int) -> Iterator[Regions]:
        made = Regions(dynamodb_local, local_site, delay_ms=delay_ms)
        try:
            made.replicator.start()
            made.replicator.wait_ready()
            yield made
        finally:
            made.replicator.kill()

    return make


def test_at_once(regions: Callable[[int], Any]) -> None:
    """The replica has caught up: the pick shows what only the table knows, nothing waits; newer and gone are normal."""
    created, paid = life("created", "paid")
    deleted = life("created", "paid", deleted=True)[-1]
    with regions(0) as shop:
        for change in (created, paid):
            shop.write(change)
        until(lambda: (shop.replica.get(paid.key) or {}).get("revision") == {"N": "2"}, "the copy")
        pick, _ = shop.handle(created)
        assert (pick["details"], shop.stood("newer")) == ({"note": {"S": "note 2"}}, 1)
        pick, _ = shop.handle(paid)
        assert (pick["details"], shop.stood("same")) == ({"note": {"S": "note 2"}}, 1)
        shop.home.delete_item(TableName=shop.table, Key=dict(paid.key))
        until(lambda: shop.replica.get(paid.key) is None, "the copy of the delete")
        pick, _ = shop.handle(deleted)
        assert (pick["pickStatus"], shop.stood("absent")) == ("cancelled", 1)
        assert shop.stood("behind") == 0


def test_later(regions: Callable[[int], Any]) -> None:
    """The event is 200 ms ahead of the replica: the warehouse waits that long, then knows all."""
    (created,) = life("created")
    with regions(200) as shop:
        shop.write(created)
        pick, took_ms = shop.handle(created)
        assert 150 < took_ms < WAIT_MS
        assert (pick["details"], shop.stood("same")) == ({"note": {"S": "note 1"}}, 1)


def test_never(regions: Callable[[int], Any]) -> None:
    """The replica stands still: after the bounded wait the warehouse acts on the event, and that is counted."""
    created, paid = life("created", "paid")
    with regions(0) as shop:
        shop.write(created)
        until(lambda: shop.replica.get(created.key), "the copy")
        shop.replicator.pause()
        shop.write(paid)
        pick, took_ms = shop.handle(paid)
        assert WAIT_MS <= took_ms < WAIT_MS + 20_000
        assert (pick["orderStatus"], "details" in pick, shop.stood("behind")) == ("paid", False, 1)


def test_a_restart_makes_up(regions: Callable[[int], Any]) -> None:
    """What was written and deleted while nobody copied is made up when the replicator starts again."""
    (kept,), (gone,) = life("created", order_id="kept"), life("created", order_id="gone")
    with regions(0) as shop:
        shop.write(gone)
        until(lambda: shop.replica.get(gone.key), "the copy")
        shop.replicator.kill()
        shop.write(kept)
        shop.home.delete_item(TableName=shop.table, Key=dict(gone.key))
        shop.replicator.restart()
        assert shop.replica.get(kept.key) is not None
        assert shop.replica.get(gone.key) is None


def test_shards_that_split(rolling_table: Callable[..., RollingTable], dynamodb_on_disk: Any, local_site: Site) -> None:
    """The stream's shard is split and rolled under it: every write arrives, in order."""
    table = rolling_table()
    client = table.aws.client("dynamodb")
    replica = EffectTable(client, replica_table(table.name, "us"))
    replicator = Replicator(
        local_site,
        endpoint=dynamodb_on_disk.endpoint,
        table=table.name,
        home=HOME,
        replicas={AWAY: replica.name},
        delay_ms=0,
    )
    try:
        replicator.start()
        replicator.wait_ready()
        for state in range(1, 5):
            for key in range(20):
                item = {"orderId": {"S": str(key)}, "revision": {"N": str(state)}}
                client.put_item(TableName=table.name, Item=item)
            SPLITS[state - 1](table)
        until(
            lambda: all(
                (replica.get({"orderId": {"S": str(key)}}) or {}).get("revision") == {"N": "4"} for key in range(20)
            ),
            "the last states",
        )
    finally:
        replicator.kill()


SPLITS: list[Callable[[RollingTable], Any]] = [
    lambda table: table.shards.roll(),
    lambda table: table.shards.split(2),
    lambda table: table.shards.roll(),
    lambda table: None,
]
