"""What tests of the analytics sink share: changes of orders, a process with its own clock, the tables' content."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition, PartitionWriter
from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version
from tests.unit.memory_store import InlineExecutor
from tests.unit.memory_warehouse import MemoryWarehouse

START_MS = 1_764_000_000_000
CODEC = ChangeCodec.for_image(bundled.load("order"))


def change(
    number: int, order: str, *, sequence: int = 0, op: Op = Op.UPDATE, epoch: int = 1, status: str = "paid", **more: Any
) -> Change:
    """Change ``number`` of the shard; it is the state of ``order`` at ``sequence``."""
    attributes: dict[str, Any] = {
        "orderId": {"S": order},
        "status": {"S": status},
        "revision": {"N": str(number + 1)},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": {"N": "12.5"},
        "lines": {"L": [{"M": {"sku": {"S": "a"}, "quantity": {"N": "2"}, "price": {"N": "6.25"}}}]},
        "createdAt": {"N": str(START_MS)},
        "updatedAt": {"N": str(START_MS + number)},
        **more,
    }
    image = CODEC.image_from_dynamodb(attributes)
    return Change(
        op=op,
        key={"orderId": {"S": order}},
        before=None,
        after=None if op is Op.DELETE else image,
        source=Source("orders", "eu-west-1", "arn:stream", "shardId-1", sequence, number, f"shardId-1:{number}"),
        version=Version(epoch, sequence),
        occurred_at_ms=START_MS + number * 1000,
        captured_at_ms=START_MS + number * 1000 + 50,
    )


def record(offset: int, what: Change, partition: int = 0) -> StoredRecord:
    """The change as a record of the topic."""
    return StoredRecord("orders", partition, offset, b"k", CODEC.encode(what), [], 1, what.occurred_at_ms)


def partition(number: int = 0, topic_id: str = "topic-1") -> Partition:
    """A partition of the topic in ap."""
    return Partition("cluster-ap", topic_id, "orders", number)


class Process:
    """A consumer process with its own clock."""

    def __init__(self, warehouse: MemoryWarehouse, **changed: Any) -> None:
        self.now_ms = START_MS
        redshift, self.client = warehouse.connect()
        image = changed.pop("image", bundled.load("order"))
        self.sink = AnalyticsSink(
            warehouse.store,
            redshift,
            image=image,
            decode=changed.pop("decode", CODEC.decode),
            settings=AnalyticsSettings.model_validate({"bucket": "memory", "interval_ms": 5_000, **changed}),
            registry=CollectorRegistry(),
            now_ms=lambda: self.now_ms,
            executor=InlineExecutor(),
        )
        self.sink.loader._sleep = lambda seconds: None
        self.sink.loader._jitter = lambda: 0.0

    def open(self, number: int = 0, committed: int = 0) -> tuple[int, PartitionWriter]:
        """Assign a partition."""
        return self.sink.open(partition(number), committed)


def current(warehouse: MemoryWarehouse) -> dict[str, str]:
    """The living orders and their status."""
    return {row["order_id"]: row["status"] for row in warehouse.rows("SELECT order_id, status FROM public.orders")}


def history(warehouse: MemoryWarehouse) -> list[str]:
    """The event ids of the history, sorted; repetitions stay."""
    rows = warehouse.rows("SELECT feed_event_id FROM public.orders_history ORDER BY feed_ordinal")
    return [row["feed_event_id"] for row in rows]


def ledger(warehouse: MemoryWarehouse) -> dict[tuple[str, int], int]:
    """The next offset by topic id and partition."""
    rows = warehouse.rows("SELECT topic_id, partition_number, next_offset FROM public.load_ledger")
    return {(row["topic_id"], row["partition_number"]): row["next_offset"] for row in rows}


def prepared(warehouse: MemoryWarehouse) -> bool:
    """Whether a loader has made the tables already."""
    return bool(warehouse.rows("SELECT column_name FROM svv_columns WHERE table_name = 'load_ledger'"))
