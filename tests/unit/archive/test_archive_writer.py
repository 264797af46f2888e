"""The archive writer against a bucket in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.archive import ArchiveSettings, ArchiveSink, partitions_in, read_archive, run_of, runs_in
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition, PartitionWriter
from schemas.errors import FatalError, RetryableError
from tests.unit.feed_records import PARTITION, record
from tests.unit.memory_store import InlineExecutor, Killed, MemoryStore

START_MS = 1_764_000_000_000
MINUTE_MS = 60_000


class Process:
    """A consumer process with its own clock."""

    def __init__(self, store: MemoryStore, **changed: object) -> None:
        self.now_ms = START_MS
        self.sink = ArchiveSink(
            store,
            ArchiveSettings(bucket="memory").model_copy(update=changed),  # tiny bounds as well
            registry=CollectorRegistry(),
            now_ms=lambda: self.now_ms,
            executor=InlineExecutor(),
        )

    def open(self, committed: int = 0, partition: Partition = PARTITION) -> PartitionWriter:
        """The writer of a partition that was just assigned."""
        start, writer = self.sink.open(partition, committed)
        assert start == committed
        return writer


def at(offset: int, minute: int, **more: object) -> StoredRecord:
    """A record of a minute."""
    return record(offset, at_ms=START_MS + minute * MINUTE_MS + offset, **more)  # type: ignore[arg-type]


def offsets_in(store: MemoryStore) -> list[int]:
    """Every offset in the archive, sorted; repetitions stay."""
    return sorted(found.offset() for found in read_archive(store, "archive", PARTITION))


def minutes_in(store: MemoryStore) -> list[tuple[int, int]]:
    """Minute and first offset of every object."""
    base = START_MS // MINUTE_MS
    return [(run.minute - base, run.first) for run in runs_in(store, "archive", PARTITION)]


def test_a_minute_is_closed_by_the_records_time() -> None:
    """A minute goes to the bucket when a record of its end and the grace has come."""
    store = MemoryStore()
    writer = Process(store, grace_ms=10_000).open()
    writer.add([at(0, 0), at(1, 0), record(2, at_ms=START_MS + MINUTE_MS + 9_000)])
    assert store.puts == 0
    writer.add([record(3, at_ms=START_MS + MINUTE_MS + 10_000)])
    assert minutes_in(store) == [(0, 0)]
    assert writer.durable() == 2


def test_a_minute_is_closed_by_the_clock() -> None:
    """A flow that stops does not keep its last minute out of the archive."""
    store = MemoryStore()
    process = Process(store, open_ms=75_000)
    writer = process.open()
    writer.add([at(0, 0)])
    writer.tick(START_MS + 74_999)
    assert store.puts == 0
    writer.tick(START_MS + 75_000)
    assert minutes_in(store) == [(0, 0)]
    assert writer.durable() == 1


def test_the_commit_waits_for_the_lowest_open_minute() -> None:
    """What is stored above an offset that is not stored does not move the commit."""
    store = MemoryStore()
    writer = Process(store, grace_ms=0).open()
    writer.add([at(0, 1), at(1, 0), at(2, 1), at(3, 0)])
    assert minutes_in(store) == [(0, 1)]
    assert writer.durable() == 0
    writer.add([at(4, 2)])
    assert minutes_in(store) == [(0, 1), (1, 0)]
    assert writer.durable() == 4


def test_late_records_go_to_a_new_object_of_their_own_minute() -> None:
    """A closed minute is not touched again; what is late stands beside it."""
    store = MemoryStore()
    writer = Process(store, grace_ms=0).open()
    writer.add([at(0, 0), at(1, 1), at(2, 5)])
    writer.add([at(3, 0), at(4, 5)])
    writer.flush()
    assert [pair for pair in minutes_in(store) if pair[0] == 0] == [(0, 0), (0, 3)]
    assert offsets_in(store) == [0, 1, 2, 3, 4]


def test_what_the_bucket_holds_above_the_commit_is_skipped() -> None:
    """After a crash the minutes that were stored are not stored again, the open ones are."""
    store = MemoryStore()
    writer = Process(store, grace_ms=0).open()
    flow = [at(0, 1), at(1, 0), at(2, 1), at(3, 0)]
    writer.add(flow)
    again = Process(store, grace_ms=0).open(writer.durable())
    again.add([*flow, at(4, 0), at(5, 3)])
    again.flush()
    assert offsets_in(store) == [0, 1, 2, 3, 4, 5]


def test_metadata_says_what_an_object_holds() -> None:
    """First, last and count stand in the metadata, and a lost metadata is made good by the footer."""
    store = MemoryStore()
    writer = Process(store, grace_ms=0).open()
    writer.add([at(3, 0), at(5, 0), at(6, 2)])
    (name,) = [name for name in store.objects if name.endswith("-00000000000000000003.parquet")]
    head = store.objects[name][0].head
    assert {key: head.metadata[key] for key in ("first", "last", "count")} == {"first": "3", "last": "5", "count": "2"}
    body = store.objects.pop(name)[0].body
    store.plant(name, body)
    again = Process(store, grace_ms=0).open(3)
    again.add([at(3, 0), at(5, 0), at(6, 2)])
    again.flush()
    assert offsets_in(store) == [3, 5, 6]


def test_two_owners_of_a_partition_store_each_record_once() -> None:
    """An owner that does not know yet that it is none any more does no harm."""
    store = MemoryStore()
    old, new = Process(store).open(), Process(store).open()
    flow = [at(offset, offset % 3) for offset in range(12)]
    old.add(flow[:8])
    new.add(flow[:5])
    old.flush()
    new.add(flow[5:])
    new.flush()
    assert offsets_in(store) == list(range(12))
    old.add(flow[8:])
    old.flush()
    assert offsets_in(store) == list(range(12))


def test_memory_is_bounded_over_all_partitions() -> None:
    """Open minutes are closed early when all together take too much; nothing is lost by it."""
    store = MemoryStore()
    process = Process(store, memory_bytes=300_000, object_bytes=100 * 1024 * 1024, grace_ms=3_600_000)
    writer = process.open()
    top = 0
    for start in range(0, 4_000, 100):
        writer.add([at(offset, offset % 40) for offset in range(start, start + 100)])
        top = max(top, writer.nbytes)  # type: ignore[attr-defined]
    assert store.puts > 5
    assert top < 600_000  # the bound and one batch
    writer.flush()
    assert offsets_in(store) == list(range(4_000))


def test_sixty_four_partitions_share_one_bound() -> None:
    """The bound is the process's: with 64 partitions and hundreds of open minutes it is the same."""
    store = MemoryStore()
    process = Process(store, memory_bytes=2 * 1024 * 1024, grace_ms=3_600_000)
    partitions = [replace(PARTITION, number=number) for number in range(64)]
    writers = [process.open(partition=partition) for partition in partitions]
    top = 0
    for start in range(0, 120, 20):
        for writer in writers:
            writer.add([at(offset, offset % 10) for offset in range(start, start + 20)])
            held = [writer.nbytes for writer in writers]  # type: ignore[attr-defined]
            assert held == [sum(nbytes for nbytes, _ in writer.sizes()) for writer in writers]  # type: ignore[attr-defined]
            top = max(top, sum(held))
    assert top < 2 * 1024 * 1024 + 60_000  # the bound and one batch
    for writer in writers:
        writer.flush()
    assert not any(writer.nbytes for writer in writers)  # type: ignore[attr-defined]
    for partition in partitions:
        assert sorted(r.offset() for r in read_archive(store, "archive", partition)) == list(range(120))


def test_a_topic_made_anew_is_fatal() -> None:
    """Other events under a name that is taken stop the consumer."""
    store = MemoryStore()
    first, second = Process(store).open(), Process(store).open()
    first.add([at(0, 0)])
    second.add([at(0, 0, topic_run="other-")])
    first.flush()
    with pytest.raises(FatalError, match="made anew"):
        second.flush()


def test_a_store_that_is_away_keeps_the_commit_back() -> None:
    """A failing upload is tried again at the next ticks, and the commit waits for it."""
    store = MemoryStore()
    writer = Process(store, grace_ms=0).open()

    def away(key: str) -> None:
        raise RetryableError("away", hint="")

    store.before = away
    writer.add([at(0, 0), at(1, 2)])
    writer.tick(START_MS)
    assert writer.durable() == 0
    store.before = lambda key: None
    for _ in range(3):
        writer.tick(START_MS + 60_000)
    process_clock = START_MS + 120_000
    writer.tick(process_clock)
    writer.flush()
    assert writer.durable() == 2
    assert offsets_in(store) == [0, 1]


def test_names_can_be_read_back() -> None:
    """A name gives its partition, minute and offset, and a foreign name gives nothing."""
    store = MemoryStore()
    writer = Process(store).open()
    writer.add([at(7, 3)])
    writer.flush()
    (name,) = store.objects
    run = run_of("archive", name)
    assert run is not None
    assert (run.at, run.minute, run.first) == (PARTITION, START_MS // MINUTE_MS + 3, 7)
    assert run_of("archive", "archive/orders/readme.txt") is None
    assert partitions_in(store, "archive") == [PARTITION]


def test_a_range_of_time_is_read_without_the_rest() -> None:
    """Reading a range gives the records of that range, not those of the minutes around it."""
    store = MemoryStore()
    writer = Process(store).open()
    writer.add([at(offset, offset) for offset in range(200)])
    writer.flush()
    from_ms, to_ms = START_MS + 30 * MINUTE_MS, START_MS + 90 * MINUTE_MS
    found = [r.offset() for r in read_archive(store, "archive", PARTITION, from_ms=from_ms, to_ms=to_ms)]
    assert found == list(range(30, 90))


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 6)),
        st.tuples(st.just("tick"), st.integers(0, 90_000)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("commit"), st.just(0)),
        st.tuples(st.just("zombies"), st.just(0)),
    ),
    max_size=12,
)
TO_THE_END: list[tuple[str, int]] = [("add", 99), ("zombies", 0), ("flush", 0), ("commit", 0)]


@dataclass
class Life:
    """One process from its start to its kill, or its loss of the partition."""

    puts_to_live: int
    stored: bool
    """Whether the upload that kills it is stored."""
    moves: list[tuple[str, int]]


@dataclass
class World:
    """The topic, the bucket and the commit: what outlives a process."""

    flow: list[StoredRecord]
    bounds: dict[str, int]
    """Settings: how long minutes stay open, how large an object and all of them together may become."""
    store: MemoryStore = field(default_factory=MemoryStore)
    committed: int = 0
    zombies: list[PartitionWriter] = field(default_factory=list)

    def live(self, life: Life) -> None:
        """One life; a process that is not killed stays as a zombie that does not know that it lost the partition."""
        process = Process(self.store, open_ms=60_000, **self.bounds)
        writer = process.open(self.committed)
        self.arm(life)
        unread = [r for r in self.flow if r.offset() >= self.committed]
        try:
            for move in life.moves:
                self.step(process, writer, unread, *move)
        except Killed:
            return
        finally:
            self.store.before = self.store.after = lambda key: None
        self.wake_zombies()
        self.zombies = [writer]

    def wake_zombies(self) -> None:
        """Whatever former owners still hold lands now; this does not kill the process at work."""
        before, after = self.store.before, self.store.after
        self.store.before = self.store.after = lambda key: None
        for zombie in self.zombies:
            zombie.flush()
        self.store.before, self.store.after = before, after

    def arm(self, life: Life) -> None:
        """Die at the life's last upload, before or after it is stored."""
        left = life.puts_to_live

        def die(key: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        if life.stored:
            self.store.after = die
        else:
            self.store.before = die

    def step(
        self, process: Process, writer: PartitionWriter, unread: list[StoredRecord], move: str, amount: int
    ) -> None:
        """One move of the runtime."""
        if move == "add":
            writer.add(unread[:amount])
            del unread[:amount]
        elif move == "tick":
            process.now_ms += amount
            writer.tick(process.now_ms)
        elif move == "flush":
            writer.flush()
        elif move == "zombies":
            self.wake_zombies()
        else:
            assert writer.durable() >= self.committed
            self.committed = writer.durable()


LIVES = st.lists(st.builds(Life, st.integers(0, 8), st.booleans(), MOVES), max_size=6)


@settings(max_examples=400, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    lives=LIVES,
    marker_every=st.integers(2, 5),
    bounds=st.fixed_dictionaries(
        {
            "grace_ms": st.sampled_from([0, 30_000]),
            # a record counts for 2.5 KB: objects of two, and room for three in all, or for all there are
            "object_bytes": st.sampled_from([5_000, 8 * 1024 * 1024]),
            "memory_bytes": st.sampled_from([7_500, 48 * 1024 * 1024]),
        }
    ),
)
def test_whatever_crashes_each_record_is_archived_once_in_its_minute(
    minutes: list[int], lives: list[Life], marker_every: int, bounds: dict[str, int]
) -> None:
    """Minutes interleaved at will and late at will, minutes closed by time, size and want of memory, a crash before or
    after any upload and any commit, former owners that write on: each record is in the archive once, in its minute, in
    order."""
    offsets = [offset for offset in range(2 * len(minutes)) if offset % marker_every][: len(minutes)]
    world = World([at(offset, minute) for offset, minute in zip(offsets, minutes, strict=True)], bounds)
    for life in [*lives, Life(10_000, True, TO_THE_END)]:
        world.live(life)
    assert Counter(offsets_in(world.store)) == Counter(offsets)
    archived = list(read_archive(world.store, "archive", PARTITION))
    assert all(a.offset() < b.offset() for a, b in pairwise(archived) if minute_of(a) == minute_of(b))
    runs = runs_in(world.store, "archive", PARTITION)
    assert {minute_of(r) for r in world.flow} == {run.minute for run in runs}


def minute_of(found: StoredRecord) -> int:
    """The minute of a record's event."""
    return found.timestamp()[1] // MINUTE_MS
