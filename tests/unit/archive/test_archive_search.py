"""Searching and proving the archive; the life of a key in the audit log."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from consumers.archive import ArchiveSettings, ArchiveSink, all_runs, records_of_key, verify_archive
from consumers.audit import AuditSettings, AuditSink, history_of
from consumers.columns import Declared, StoredRecord
from consumers.runtime.contracts import Partition
from schemas.control import ControlEvent, ControlKind
from tests.unit.feed_records import record
from tests.unit.memory_store import InlineExecutor, MemoryStore

START_MS = 1_764_000_000_000


def flow(partition: int) -> list[StoredRecord]:
    """Records of one partition: every other ordinal of a shard, a minute for each ten of them."""
    return [
        record(offset, ordinal=2 * offset + partition, at_ms=START_MS + offset // 10 * 60_000) for offset in range(60)
    ]


@pytest.fixture
def store() -> MemoryStore:
    """An archive and an audit log of two partitions."""
    store = MemoryStore()
    archive = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    audit = AuditSink(
        store,
        AuditSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    for sink in (archive, audit):
        for number in (0, 1):
            _, writer = sink.open(Partition("c", "t", "orders", number), 0)
            writer.add(flow(number))
            writer.flush()
    return store


def test_a_whole_archive_is_proven(store: MemoryStore) -> None:
    """All ordinals over both partitions are there once."""
    report = verify_archive(store, "archive", all_runs(store, "archive", "orders"))
    assert report.valid
    assert (report.runs, report.records) == (12, 120)


def test_a_range_is_proven_by_itself(store: MemoryStore) -> None:
    """A range that begins in the middle of a shard shows no gap at its ends."""
    runs = all_runs(store, "archive", "orders", from_ms=START_MS + 120_000, to_ms=START_MS + 240_000)
    report = verify_archive(store, "archive", runs)
    assert report.valid
    assert report.records == 40


def test_an_ordinal_at_an_edge_is_looked_for_beside_the_range(store: MemoryStore) -> None:
    """A change of the range's ordinals whose event lies just before the range is not missing from it."""
    name = min(name for name in store.objects if name.startswith("archive/orders/") and "partition=00001" in name)
    begin = START_MS + 60_000
    runs = all_runs(store, "archive", "orders", from_ms=begin)
    sink = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    _, writer = sink.open(Partition("c", "t", "orders", 2), 0)
    writer.add([record(0, ordinal=120, at_ms=START_MS + 30_000), record(1, ordinal=121, at_ms=START_MS + 90_000)])
    writer.flush()
    runs = all_runs(store, "archive", "orders", from_ms=begin)
    assert verify_archive(store, "archive", runs).missing == {"shardId-1": [(120, 120)]}
    beside = [run for run in all_runs(store, "archive", "orders") if run not in runs]
    assert verify_archive(store, "archive", runs, beside=beside).valid
    del store.objects[name]  # outside of the range, and none of its business
    assert verify_archive(store, "archive", runs, beside=[run for run in beside if run.partition == 2]).valid


def test_the_last_changes_of_a_shard_are_missed_by_its_end(store: MemoryStore) -> None:
    """A shard that ended long ago must be held to its end; one that ended just now may have minutes open."""
    declared = Declared()
    declared.take(ControlEvent(ControlKind.SHARD_END, "orders", START_MS, shard="shardId-1", ordinal=125))
    runs = all_runs(store, "archive", "orders")
    assert verify_archive(store, "archive", runs, declared=declared, ended_before_ms=START_MS).valid
    late = verify_archive(store, "archive", runs, declared=declared, ended_before_ms=START_MS + 1)
    assert late.missing == {"shardId-1": [(120, 125)]}


def test_a_range_lists_its_days_only(store: MemoryStore) -> None:
    """Listing a range names its days, so a request never returns what lies outside of them."""
    store.calls.clear()
    runs = all_runs(store, "archive", "orders", from_ms=START_MS, to_ms=START_MS + 120_000)
    listed = {prefix.rpartition("/")[2] for call, prefix in store.calls if call == "list"}
    assert listed == {"hour=2025-11-24-"}
    assert {run.minute for run in runs} == {START_MS // 60_000, START_MS // 60_000 + 1}


def test_a_lost_object_is_found(store: MemoryStore) -> None:
    """The ordinals of an object that is gone are missed."""
    names = sorted(name for name in store.objects if name.startswith("archive/") and "partition=00001" in name)
    del store.objects[names[2]]
    report = verify_archive(store, "archive", all_runs(store, "archive", "orders"))
    assert report.missing["shardId-1"] == [(ordinal, ordinal) for ordinal in range(41, 60, 2)]


def test_a_copied_object_is_found(store: MemoryStore) -> None:
    """An object under a second name is a fault, and its ordinals are repeated."""
    name = min(name for name in store.objects if name.startswith("archive/"))
    copy = name.replace(f"{0:020d}", f"{7:020d}")
    store.plant(copy, store.objects[name][0].body)
    report = verify_archive(store, "archive", all_runs(store, "archive", "orders"))
    assert len(report.faults) == 1
    assert report.repeated["shardId-1"] == list(range(0, 20, 2))


def test_one_key_is_found(store: MemoryStore) -> None:
    """The records of one key come from the archive and from the audit log, all of them, in order."""
    wanted = [r for number in (0, 1) for r in flow(number) if r.key() == b"o-3"]
    runs = all_runs(store, "archive", "orders")
    found = list(records_of_key(store, "archive", runs, b"o-3"))
    assert sorted((r.value(), r.offset()) for r in found) == sorted((r.value(), r.offset()) for r in wanted)
    proven = list(history_of(store, "audit", "orders", b"o-3"))
    assert [(p.record.value(), p.record.offset()) for p in proven] == [(r.value(), r.offset()) for r in wanted]
    assert {p.link.number for p in proven} == {0}
