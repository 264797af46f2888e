"""The index of an hour: what it tells, when it is written, and that it never hides a record."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.archive import (
    ArchiveSettings,
    ArchiveSink,
    all_runs,
    ensure_index,
    indexes_in,
    records_of_key,
    runs_in,
    runs_of_key,
)
from consumers.archive.index import IndexedRun, beginning_of, build_index, hash_of, index_of, read_index
from consumers.columns import StoredRecord
from consumers.runtime.contracts import PartitionWriter
from schemas.errors import FatalError
from tests.unit.feed_records import PARTITION, record
from tests.unit.memory_store import InlineExecutor, MemoryStore

START_MS = 1_763_996_400_000  # a full hour
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
HOUR = START_MS // HOUR_MS


class Archiving:
    """An archive with a clock of its own."""

    def __init__(self, store: MemoryStore, **changed: object) -> None:
        self.now_ms = START_MS
        self.sink = ArchiveSink(
            store,
            ArchiveSettings.model_validate({"bucket": "memory", "grace_ms": 0, **changed}),
            registry=CollectorRegistry(),
            now_ms=lambda: self.now_ms,
            executor=InlineExecutor(),
        )
        self.writer: PartitionWriter = self.sink.open(PARTITION, 0)[1]

    def take(self, records: Iterable[StoredRecord]) -> None:
        """Archive records, each minute in an object."""
        self.writer.add(list(records))
        self.writer.flush()

    def ticks_until(self, at_ms: int) -> None:
        """The runtime's ticks up to a time."""
        while self.now_ms < at_ms:
            self.now_ms = min(at_ms, self.now_ms + 30_000)
            self.writer.tick(self.now_ms)


def of_hour(hour: int, first: int) -> list[StoredRecord]:
    """Forty records of seven keys over the minutes of an hour after the start."""
    return [record(first + n, at_ms=START_MS + hour * HOUR_MS + n * 80_000) for n in range(40)]


KEYS = st.lists(st.lists(st.binary(max_size=6) | st.none(), max_size=20), max_size=12)


@settings(max_examples=200, deadline=None)
@given(KEYS, st.binary(max_size=6))
def test_an_index_tells_each_run_that_holds_a_key(keys: list[list[bytes | None]], wanted: bytes) -> None:
    """Whatever the keys: no run that holds one is left out, and what is told besides shares its hash."""
    runs = [(IndexedRun(HOUR * 60, n, n, len(of_run)), of_run) for n, of_run in enumerate(keys)]
    body = build_index(PARTITION, HOUR, runs)
    index = read_index(body[: beginning_of(body)])
    start, length = index.span_of(wanted)
    told = {run.first for run in index.runs_with(wanted, body[start : start + length])}
    assert told >= {n for n, of_run in enumerate(keys) if wanted in of_run}
    assert all(any(key is not None and hash_of(key) == hash_of(wanted) for key in keys[n]) for n in told)


def test_what_is_no_index_says_so() -> None:
    """Foreign, empty and shortened bytes are refused."""
    body = build_index(PARTITION, HOUR, [(IndexedRun(HOUR * 60, 0, 1, 2), [b"a"])])
    for broken in (b"", b"PAR1 and more", body[:40], body[: beginning_of(body) - 1]):
        with pytest.raises(FatalError):
            read_index(broken)
    assert index_of("archive-index/orders/c/t/partition=00000/readme.txt") is None


def test_an_index_is_written_after_its_hour_and_again_when_more_comes() -> None:
    """Not before the hour's end and the wait; a late object makes it anew, under a name that says how much it knows."""
    store = MemoryStore()
    archiving = Archiving(store, index_after_ms=600_000)
    archiving.take(of_hour(0, 0))
    archiving.ticks_until(START_MS + HOUR_MS + 599_000)
    assert indexes_in(store, "archive", PARTITION) == {}
    archiving.ticks_until(START_MS + HOUR_MS + 700_000)
    runs = len(runs_in(store, "archive", PARTITION))
    assert [index_of(name) for name in indexes_in(store, "archive", PARTITION).values()] == [(HOUR, runs)]
    archiving.take([record(40, at_ms=START_MS + 1)])
    archiving.ticks_until(archiving.now_ms + 120_000)
    assert [index_of(name) for name in indexes_in(store, "archive", PARTITION).values()] == [(HOUR, runs + 1)]


def test_a_new_owner_writes_what_the_former_left() -> None:
    """An owner that died before the hour's index was written is made good for by the next one."""
    store = MemoryStore()
    Archiving(store).take(of_hour(0, 0))
    again = Archiving(store)
    again.now_ms = START_MS + 2 * HOUR_MS
    again.writer = again.sink.open(PARTITION, 40)[1]
    again.ticks_until(again.now_ms + 180_000)
    assert list(indexes_in(store, "archive", PARTITION)) == [HOUR]


def test_an_index_that_cannot_be_made_stops_nothing() -> None:
    """A foreign object in an hour leaves it without index, counted; records are archived on."""
    store = MemoryStore()
    archiving = Archiving(store)
    archiving.take(of_hour(0, 0))
    name = next(name for name in store.objects if name.startswith("archive/"))
    store.objects.pop(name)
    store.plant(name, b"something else")
    archiving.ticks_until(START_MS + 2 * HOUR_MS)
    assert indexes_in(store, "archive", PARTITION) == {}
    archiving.take(of_hour(2, 40))
    assert archiving.writer.durable() == 80


def test_a_search_opens_only_what_may_hold_the_key() -> None:
    """With indexes no object without the key is opened, later objects and hours without index are looked into."""
    store = MemoryStore()
    archiving = Archiving(store)
    for hour in range(6):
        archiving.take(of_hour(hour, 40 * hour))
    for hour in range(5):
        ensure_index(store, "archive", PARTITION, HOUR + hour)
    archiving.take([record(240 + n, at_ms=START_MS + n) for n in range(7)])  # later, into the first hour
    runs = all_runs(store, "archive", "orders")
    store.calls.clear()
    held = runs_of_key(store, "archive", runs, b"o-3")
    assert not [key for call, key in store.calls if call == "get"]
    found = [r.offset() for r in records_of_key(store, "archive", held, b"o-3")]
    assert sorted(found) == [offset for offset in range(247) if offset % 7 == 3]
    without = [run for run in runs if run not in held]
    assert len(without) > len(runs) // 2
    assert all(r.key() != b"o-3" for run in without for r in records_of_key(store, "archive", [run], b"o-3"))


def test_a_damaged_index_hides_nothing() -> None:
    """Then the hour's objects are looked into one by one."""
    store = MemoryStore()
    archiving = Archiving(store)
    archiving.take(of_hour(0, 0))
    name = ensure_index(store, "archive", PARTITION, HOUR)
    assert name is not None
    store.objects.pop(name)
    store.plant(name, b"CFINDEX1 but no more")
    runs = all_runs(store, "archive", "orders")
    assert runs_of_key(store, "archive", runs, b"o-3") == runs
