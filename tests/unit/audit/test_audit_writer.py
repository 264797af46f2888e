"""The audit writer against a bucket in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.audit import AuditSettings, AuditSink, OrdinalLedger, read_chain, verify_chain
from consumers.runtime.contracts import PartitionWriter
from schemas.errors import FatalError, RetryableError
from tests.unit.feed_records import PARTITION, record
from tests.unit.memory_store import InlineExecutor, Killed, MemoryStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def open_writer(store: MemoryStore, committed: int = 0, **changed: object) -> tuple[int, PartitionWriter]:
    """A writer of a new process."""
    sink = AuditSink(
        store,
        AuditSettings.model_validate({"bucket": "memory", **changed}),
        registry=CollectorRegistry(),
        now_ms=lambda: 1_767_225_600_000,
        executor=InlineExecutor(),
    )
    return sink.open(PARTITION, committed)


def offsets_in(store: MemoryStore) -> list[int]:
    """Every offset in the log, in the log's order."""
    return [found.offset() for found in read_chain(store, "audit", PARTITION)]


def findings_of(store: MemoryStore) -> list[str]:
    """What a verification says."""
    return [
        f"{finding.status} {finding.name[-12:-8]}"
        for finding in verify_chain(store, "audit", PARTITION, ledger=OrdinalLedger(), now=NOW).findings
    ]


def test_records_come_back_byte_for_byte() -> None:
    """Key, value, repeated headers, timestamp and offset of a record survive the log."""
    store = MemoryStore()
    _, writer = open_writer(store)
    records = [record(offset) for offset in (0, 1, 3, 4)]
    writer.add(records)
    writer.flush()
    assert list(read_chain(store, "audit", PARTITION)) == records
    assert writer.durable() == 5


def test_a_segment_is_closed_by_its_time() -> None:
    """Nothing is written before the time of a segment, all of it after."""
    store = MemoryStore()
    _, writer = open_writer(store)
    writer.add([record(0)])
    writer.tick(1_767_225_600_000 + 4_999)
    assert store.puts == 0
    assert writer.durable() == 0
    writer.tick(1_767_225_600_000 + 5_000)
    assert store.puts == 1
    assert writer.durable() == 1


def test_a_segment_is_closed_by_its_size() -> None:
    """A backlog does not gather in memory: segments are closed while it is read."""
    store = MemoryStore()
    _, writer = open_writer(store, segment_bytes=100_000)
    for start in range(0, 2_000, 100):
        writer.add([record(offset) for offset in range(start, start + 100)])
    assert store.puts > 5
    writer.flush()
    assert offsets_in(store) == list(range(2_000))


def test_every_put_is_locked_for_the_retention() -> None:
    """Each segment carries its own COMPLIANCE lock until the retention's end."""
    store = MemoryStore()
    _, writer = open_writer(store, retention_days=10)
    writer.add([record(0)])
    writer.flush()
    (versions,) = store.objects.values()
    assert versions[0].head.lock_mode == "COMPLIANCE"
    assert versions[0].head.retain_until == datetime(2026, 1, 11, tzinfo=UTC)


def test_what_a_crash_left_stored_is_not_stored_again() -> None:
    """After a crash between upload and commit the partition is read from behind the chain's head."""
    store = MemoryStore()
    _, writer = open_writer(store)
    writer.add([record(offset) for offset in range(5)])
    writer.flush()
    start, again = open_writer(store, committed=0)
    assert start == 5
    again.add([record(offset) for offset in range(8)])  # a runtime that reads from the commit all the same
    again.flush()
    assert offsets_in(store) == list(range(8))
    assert findings_of(store) == []


def test_a_lost_answer_is_not_a_second_segment() -> None:
    """A PUT that was stored though its answer got lost is recognised when it is tried again."""
    store = MemoryStore()
    _, writer = open_writer(store)
    lost = [True]

    def lose(key: str) -> None:
        if lost.pop() if lost else False:
            raise RetryableError("timed out", hint="")

    store.after = lose
    writer.add([record(0), record(1)])
    writer.flush()
    assert store.puts == 1
    assert offsets_in(store) == [0, 1]
    assert writer.durable() == 2


def test_a_former_owner_that_still_writes_is_met_and_followed() -> None:
    """Two owners of one partition make one chain without repetition, whoever writes first."""
    store = MemoryStore()
    _, old = open_writer(store)
    _, new = open_writer(store)
    old.add([record(offset) for offset in range(6)])
    new.add([record(offset) for offset in range(4)])
    old.flush()
    new.add([record(offset) for offset in range(4, 9)])
    new.flush()
    old.add([record(6)])
    old.flush()
    assert offsets_in(store) == list(range(9))
    assert findings_of(store) == []


def test_a_topic_made_anew_is_fatal() -> None:
    """Other events under offsets that the log holds stop the consumer instead of mixing two histories."""
    store = MemoryStore()
    _, late = open_writer(store)
    _, writer = open_writer(store)
    writer.add([record(0), record(1)])
    writer.flush()
    late.add([record(0, topic_run="other-"), record(1, topic_run="other-")])
    with pytest.raises(FatalError, match="made anew"):
        late.flush()


def test_a_store_that_is_away_takes_nothing_more_than_fits() -> None:
    """While S3 is away ticks go on quietly, and a full buffer refuses records before it takes any of them."""
    store = MemoryStore()
    _, writer = open_writer(store, segment_bytes=10_000)

    def away(key: str) -> None:
        raise RetryableError("away", hint="")

    store.before = away
    writer.add([record(offset) for offset in range(100)])
    writer.tick(1_767_225_600_000 + 10_000)
    writer.tick(1_767_225_600_000 + 20_000)
    writer.add([record(offset) for offset in range(100, 200)])
    with pytest.raises(RetryableError):
        writer.add([record(offset) for offset in range(200, 300)])
    store.before = lambda key: None
    writer.add([record(offset) for offset in range(200, 300)])
    writer.flush()
    assert offsets_in(store) == list(range(300))


def test_memory_is_bounded_over_all_partitions() -> None:
    """The largest open segment is closed early when all together take too much; nothing is lost by it."""
    store = MemoryStore()
    sink = AuditSink(
        store,
        AuditSettings(bucket="memory", memory_bytes=1024 * 1024, segment_bytes=100 * 1024 * 1024),
        registry=CollectorRegistry(),
        now_ms=lambda: 1_767_225_600_000,
        executor=InlineExecutor(),
    )
    other = replace(PARTITION, number=1)
    writers = [sink.open(partition, 0)[1] for partition in (PARTITION, other)]
    for start in range(0, 4_000, 100):
        for writer in writers:
            writer.add([record(offset) for offset in range(start, start + 100)])
            assert sum(writer.nbytes for writer in writers) < 1_400_000  # type: ignore[attr-defined]  # the bound, a batch
    assert store.puts > 2
    for writer in writers:
        writer.flush()
    assert offsets_in(store) == list(range(4_000))
    assert [found.offset() for found in read_chain(store, "audit", other)] == list(range(4_000))


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    crashes=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=5),
    commits=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_whatever_crashes_each_record_is_stored_once(
    sizes: list[int], crashes: list[tuple[int, bool]], commits: list[bool]
) -> None:
    """With a crash before or after any upload and any commit, the chain holds every record once and verifies."""
    store = MemoryStore()
    total = sum(sizes)
    committed = 0
    for puts_to_live, stored in [*crashes, (10_000, True)]:
        left = [puts_to_live]

        def die(key: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        store.before, store.after = (lambda key: None, die) if stored else (die, lambda key: None)
        try:
            start, writer = open_writer(store, committed)
            at = start
            for step, size in enumerate(sizes):
                batch = [record(offset) for offset in range(at, min(at + size, total))]
                writer.add(batch)
                at += len(batch)
                writer.flush()
                if commits[step]:
                    committed = max(committed, writer.durable())
            writer.add([record(offset) for offset in range(at, total)])
            writer.flush()
        except Killed:
            continue
    assert offsets_in(store) == list(range(total))
    assert findings_of(store) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"stored_value": b"forged"},
        {"timestamp_ms": 1},
        {"stored_headers": [(n, b"9" if n == "ce_ordinal" else v) for n, v in record(0).headers() or []]},
    ],
    ids=lambda forged: next(iter(forged)),
)
def test_a_forged_segment_in_the_writers_place_is_refused(forged: dict[str, object]) -> None:
    """Someone faster wrote these events with one thing changed: not even a header may be adopted as our own."""
    store = MemoryStore()
    _, writer = open_writer(store)
    writer.add([record(0)])
    _, forger = open_writer(store)
    forger.add([replace(record(0), **forged)])  # type: ignore[arg-type]  # a field each
    forger.flush()
    with pytest.raises(FatalError, match="holds other records"):
        writer.flush()
