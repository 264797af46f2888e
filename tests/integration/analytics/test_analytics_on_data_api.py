"""The analytics sink on the real S3 server and the local Data API as a process, through boto3."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition
from feed.local import ObjectStore as S3Server
from feed.local import Site
from feed.local.data_api import DataApi
from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec, Depth
from schemas.version import Version

pytestmark = pytest.mark.integration

START_MS = 1_764_000_000_000
CODEC = ChangeCodec.for_image(bundled.load("order"))


class Warehouse:
    """A Data API part, a bucket, and consumers that use them."""

    def __init__(self, part: DataApi, s3_server: S3Server, bucket: str) -> None:
        self.part = part
        settings = {
            "region": "ap-southeast-2",
            "endpoints": {"s3": s3_server.endpoint, "redshift-data": part.endpoint},
            "access_key_id": s3_server.access_key_id,
            "secret_access_key": s3_server.secret_access_key,
        }
        self.clients = AwsClients(AwsSettings.model_validate(settings))
        ensure_bucket(self.clients.client("s3"), BucketSpec(bucket, "ap-southeast-2", expire_days=14))
        self.bucket = bucket

    def redshift(self) -> Redshift:
        """A connection."""
        role = "arn:aws:iam::000000000000:role/copy"
        settings = RedshiftSettings(workgroup="local", copy_role=role, poll_interval_ms=20)
        return Redshift(self.clients.client("redshift-data"), settings)

    def sink(self) -> AnalyticsSink:
        """The sink of a new process."""
        return AnalyticsSink(
            ObjectStore(self.clients.client("s3"), self.bucket),
            self.redshift(),
            image=bundled.load("order"),
            decode=lambda value: CODEC.decode(value, Depth.AFTER),
            settings=AnalyticsSettings(bucket=self.bucket, interval_ms=100),
            registry=CollectorRegistry(),
            now_ms=lambda: time.time_ns() // 1_000_000,
        )

    def count(self, table: str) -> int:
        """Rows of a table."""
        ((count,),) = [row.values() for row in self.redshift().query(f"SELECT COUNT(*) AS n FROM public.{table}")]
        return int(count)


@pytest.fixture
def warehouse(local_site: Site, s3_server: S3Server, unique_name: Callable[[str], str]) -> Iterator[Warehouse]:
    """An empty warehouse of its own."""
    name = unique_name("warehouse-db")
    part = DataApi(
        local_site,
        s3_endpoint=s3_server.endpoint,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
        name=name,
    )
    part.start()
    part.wait_ready()
    yield Warehouse(part, s3_server, unique_name("analytics"))
    part.stop()


def records(count: int, *, partition: int) -> list[StoredRecord]:
    """Changes of one partition, each order changed several times."""
    made: list[StoredRecord] = []
    for number in range(count):
        order = f"o-{partition}-{number % 50}"
        image = CODEC.image_from_dynamodb(
            {
                "orderId": {"S": order},
                "status": {"S": "paid"},
                "revision": {"N": str(number // 50 + 1)},
                "customerId": {"S": "c"},
                "currency": {"S": "EUR"},
                "total": {"N": "1.25"},
                "lines": {"L": []},
                "createdAt": {"N": str(START_MS)},
                "updatedAt": {"N": str(START_MS + number)},
            }
        )
        shard = f"shardId-{partition}"
        change = Change(
            op=Op.UPDATE,
            key={"orderId": {"S": order}},
            before=None,
            after=image,
            source=Source("orders", "eu-west-1", "arn", shard, number + 1, number, f"{shard}:{number + 1}"),
            version=Version(1, number + 1),
            occurred_at_ms=START_MS + number,
            captured_at_ms=START_MS + number,
        )
        made.append(StoredRecord("orders", partition, number, order.encode(), CODEC.encode(change), [], 1, START_MS))
    return made


def test_eight_partitions_are_loaded_once(warehouse: Warehouse) -> None:
    """Every change is in the history once, every order in the current state with its last revision; twice in a row."""
    for _ in range(2):
        sink = warehouse.sink()
        for number in range(8):
            start, writer = sink.open(Partition("cluster", "topic", "orders", number), 0)
            writer.add([r for r in records(200, partition=number) if r.offset() >= start])
        writer.flush()
        assert writer.durable() == 200
    assert warehouse.count("orders_history") == 1_600
    assert warehouse.count("orders") == 400
    rows = warehouse.redshift().query("SELECT DISTINCT revision FROM public.orders")
    assert rows == [{"revision": 4}]


def test_a_warehouse_that_is_killed_in_a_load_loses_and_repeats_nothing(warehouse: Warehouse) -> None:
    """kill -9 of the warehouse while loads run, five times: after each restart the ledger decides, and all is once."""
    sink = warehouse.sink()
    _, writer = sink.open(Partition("cluster", "topic", "orders", 0), 0)
    flow = records(3_000, partition=0)
    for kill in range(5):
        batch = flow[kill * 600 : (kill + 1) * 600]
        writer.add(batch)
        killer = threading.Timer(0.02 * kill, warehouse.part.kill)
        killer.start()
        for _ in range(3):
            writer.tick(time.time_ns() // 1_000_000)
        killer.join()
        warehouse.part.restart()
        writer.flush()
        assert writer.durable() == (kill + 1) * 600
    assert warehouse.count("orders_history") == 3_000
    assert warehouse.count("orders") == 50
