"""The current state at the end of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from consumers.columns import StoredRecord
from schemas.change import Op
from schemas.marker import SnapshotMarker, marker_headers
from schemas.version import end_of_epoch_before
from tests.unit.analytics.loading import START_MS, Process, change, current, history, ledger, record
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    """An empty warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    yield warehouse
    warehouse.engine.close()


def marker(offset: int, *, epoch: int = 2, partition: int = 0) -> StoredRecord:
    """The end of a snapshot as a record."""
    made = SnapshotMarker(epoch, partition, 8, START_MS + 60_000)
    headers = marker_headers(made, "urn:dynamodb:eu-west-1:orders")
    return StoredRecord("orders", partition, offset, None, None, headers, 1, START_MS)


def load(process: Process, writer: Any, records: list[StoredRecord]) -> None:
    """Take and load."""
    writer.add(records)
    process.now_ms += 5_000
    writer.tick(process.now_ms)


def test_what_the_snapshot_did_not_see_is_deleted(warehouse: MemoryWarehouse) -> None:
    """In one load with its rows: an order without a row or a later change goes, the others stay; no history for it."""
    process = Process(warehouse)
    _, writer = process.open()
    load(process, writer, [record(n, change(n, f"o-{n}", sequence=n + 1, op=Op.CREATE)) for n in range(4)])
    _, other = process.open(1)
    load(process, other, [record(0, change(9, "p-1", sequence=9, op=Op.CREATE), 1)])
    rows = [
        record(5, change(10, "o-0", op=Op.READ, epoch=2, status="packed")),
        record(6, change(11, "o-1", sequence=12, epoch=2, status="shipped")),
        record(7, change(12, "o-2", sequence=13, epoch=2, op=Op.DELETE)),
        marker(8),
    ]
    load(process, writer, rows)
    assert current(warehouse) == {"o-0": "packed", "o-1": "shipped", "p-1": "paid"}
    assert len(history(warehouse)) == 8
    assert writer.durable() == 9
    (swept,) = warehouse.rows("SELECT * FROM public.orders_current WHERE feed_key = 'o-3'")
    assert swept["feed_version"] == end_of_epoch_before(2).to_text()
    assert (swept["feed_op"], swept["feed_event_id"]) == ("d", "snapshot-2:complete:0")
    assert swept["status"] is None


def test_a_marker_alone_is_a_load(warehouse: MemoryWarehouse) -> None:
    """Its rows were loaded before; the ledger passes it in the transaction that sweeps; again it does nothing."""
    process = Process(warehouse)
    _, writer = process.open()
    load(process, writer, [record(0, change(0, "o-1", sequence=1, op=Op.CREATE))])
    writer.add([marker(1)])
    assert writer.durable() == 1, "not durable before it is swept"
    process.now_ms += 5_000
    writer.tick(process.now_ms)
    assert current(warehouse) == {}
    assert ledger(warehouse)["topic-1", 0] == 2
    load(process, writer, [record(2, change(5, "o-1", op=Op.READ, epoch=2))])
    assert current(warehouse) == {"o-1": "paid"}, "a row out of the dead letters still counts"
    load(process, writer, [marker(3)])
    assert current(warehouse) == {"o-1": "paid"}
