"""A sink with a ledger of its own hears how far its partition was read, markers included; on a topic in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.runtime import BY_REPLAY, Partition, Record
from consumers.runtime.build import wall_clock_ms
from consumers.runtime.start import LapsedError
from feed.config.consumers import WHEN_LAPSED
from feed.testing import until
from schemas import bundled
from schemas.errors import RetryableError
from tests.unit.analytics.loading import CODEC, change, prepared
from tests.unit.consumers.consumer_contract import Running, value_of
from tests.unit.consumers.test_runtime_on_memory import MemoryRig
from tests.unit.memory_store import InlineExecutor, MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse


@dataclass
class Ledger:
    """A batch sink that writes down where it was told that reading is; it may refuse records for now."""

    name: str = "ledger"
    refusing: bool = False
    taken: list[int] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)
    """Position, and how many records were taken then."""

    def open(self, partition: Partition, committed: int) -> tuple[int, LedgerWriter]:
        return committed, LedgerWriter(self, partition.number)


@dataclass
class LedgerWriter:
    """One partition of it."""

    sink: Ledger
    number: int

    def add(self, records: Sequence[Record]) -> None:
        if self.sink.refusing:
            raise RetryableError("not now", hint="wait")
        self.sink.taken += [record.offset() for record in records]

    def reached(self, position: int) -> None:
        if self.number == 0:
            self.sink.told.append((position, len(self.sink.taken)))

    def tick(self, now_ms: int) -> None:
        """Nothing is due."""

    def flush(self, within_ms: int | None = None) -> None:
        """Everything is durable."""

    def durable(self) -> int:
        return max(self.sink.taken, default=-1) + 1

    def close(self) -> None:
        """Nothing is held."""


def test_markers_are_told_when_everything_before_them_is_taken() -> None:
    """While records are refused the position waits; when they are taken at last, it is told."""
    rig, sink = MemoryRig(), Ledger(refusing=True)
    rig.put("a", value_of("a", 0))
    rig.memory.put_marker(0)
    rig.memory.put_marker(0)
    with Running(rig, sink) as running:
        until(
            lambda: running.metric("feed_consumer_retries_total", sink="ledger", error="RetryableError") >= 2, "tries"
        )
        assert sink.told == []
        sink.refusing = False
        until(lambda: (3, 1) in sink.told, "the position behind the markers")
        rig.memory.put_marker(0)
        until(lambda: (4, 1) in sink.told, "an aborted transaction later")
        until(lambda: rig.committed() == 4, "its commit")
    assert all(taken == 1 for _, taken in sink.told)


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    """An empty warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    yield warehouse
    warehouse.engine.close()


class Rig(MemoryRig):
    """With analytics on it."""

    def run(self, warehouse: MemoryWarehouse, when_lapsed: str = BY_REPLAY) -> Running:
        sink = AnalyticsSink(
            warehouse.store,
            warehouse.connect()[0],
            image=bundled.load("order"),
            decode=CODEC.decode,
            settings=AnalyticsSettings(bucket="memory", interval_ms=100),
            registry=CollectorRegistry(),
            now_ms=wall_clock_ms,
            executor=InlineExecutor(),
        )
        return Running(self, sink, when_lapsed=when_lapsed)


def ledger_of(warehouse: MemoryWarehouse) -> int:
    """The next offset of partition 0; -1 before there is one."""
    if not prepared(warehouse):
        return -1
    rows = warehouse.rows("SELECT next_offset FROM public.load_ledger WHERE partition_number = 0")
    return int(rows[0]["next_offset"]) if rows else -1


def test_a_feed_that_idled_past_retention_starts_again(warehouse: MemoryWarehouse) -> None:
    """Everything is read, only markers follow, retention deletes it all, the process is restarted: no false gap."""
    rig = Rig()
    rig.memory.put(b"k", CODEC.encode(change(0, "o-1", sequence=1)), partition=0)
    rig.memory.put_marker(0)
    with rig.run(warehouse) as running:
        until(lambda: running.error or ledger_of(warehouse) == 2, "the ledger behind the marker")
        rig.memory.put_marker(0)  # a transaction that was aborted
        until(lambda: running.error or ledger_of(warehouse) == 3, "the ledger behind that one")
    rig.trim(0, 3)
    with rig.run(warehouse) as running:
        rig.memory.put(b"k", CODEC.encode(change(1, "o-1", sequence=2)), partition=0)
        until(lambda: running.error or ledger_of(warehouse) == 4, "the change after the pause")
    assert running.error is None


def test_a_commit_that_a_crash_cut_off_is_no_gap(warehouse: MemoryWarehouse) -> None:
    """A load committed and the group's commit did not; retention then deleted what lies between: the ledger counts."""
    rig = Rig()
    for sequence in (1, 2):
        rig.memory.put(b"k", CODEC.encode(change(0, "o-1", sequence=sequence)), partition=0)
    with rig.run(warehouse) as running:
        until(lambda: running.error or ledger_of(warehouse) == 2, "the load")
    rig.commit(0, 1)  # as a kill between the two leaves it
    rig.trim(0, 2)
    with rig.run(warehouse) as running:
        rig.memory.put(b"k", CODEC.encode(change(1, "o-1", sequence=3)), partition=0)
        until(lambda: running.error or (ledger_of(warehouse), rig.committed()) == (3, 3), "the change after the pause")
    assert running.error is None


def test_a_ledger_that_lapsed_says_what_to_do_there(warehouse: MemoryWarehouse) -> None:
    """Retention overtook the warehouse: the hint is not `feed replay`, which analytics refuses, but what works."""
    rig = Rig()
    rig.memory.put(b"k", CODEC.encode(change(0, "o-1", sequence=1)), partition=0)
    with rig.run(warehouse) as running:
        until(lambda: running.error or ledger_of(warehouse) == 1, "the load")
    for sequence in (2, 3):
        rig.memory.put(b"k", CODEC.encode(change(1, "o-1", sequence=sequence)), partition=0)
    rig.trim(0, 2)
    error = rig.run(warehouse, WHEN_LAPSED["analytics"]).failed()
    assert isinstance(error, LapsedError)
    assert "is at offset 1, but the topic begins at 2" in str(error)
    assert "feed replay" not in error.hint
    assert "next_offset" in error.hint
    warehouse.connect()[0].run(["UPDATE public.load_ledger SET next_offset = 2 WHERE partition_number = 0"])
    with rig.run(warehouse) as running:  # what the hint says
        until(lambda: running.error or ledger_of(warehouse) == 3, "the change that is left")
    assert running.error is None
