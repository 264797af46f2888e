"""The order of a replay: by version, once, within bounds, whatever the archive's objects were."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.replay import Counts, Selection, Sorter, gather
from producers.replay.plan import records_of
from producers.replay.rows import select
from schemas.errors import FatalError
from schemas.headers import facts_of
from schemas.partitioner import murmur2, partition_of_key
from tests.unit.replay.archived import START_MS, Archived, table_of

EVERYTHING = Selection(0, START_MS * 2)
SMALL = {"memory_bytes": 6_000, "spill_bytes": 2**40}

CHANGES = st.builds(
    Archived,
    key=st.sampled_from(["o-1", "o-2", "o-3", "o-äé"]),
    sequence=st.integers(0, 30),
    epoch=st.integers(1, 11),
    at_ms=st.integers(START_MS - 200_000, START_MS + 200_000),
    shard=st.sampled_from(["shardId-1", "shardId-2"]),
    ordinal=st.integers(0, 5),
    value=st.binary(max_size=40),
)


def sent(tables: list[list[Archived | None]], folder: Path, *, partitions: int = 3, after: str = "") -> list:
    """What would be sent, in order."""
    sorter = Sorter(folder, **SMALL)
    gather(map(table_of, tables), EVERYTHING, sorter, counts=Counts(partitions), after=after)
    return [record for rows in sorter.ordered() for record in records_of(rows)]


@given(st.lists(st.lists(CHANGES, max_size=60), max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_change_once_in_the_order_of_versions(tmp_path_factory, tables: list[list[Archived]]) -> None:
    """Whatever objects hold the changes, late, overlapping or out of order: each is sent once, by (epoch, sequence)."""
    found = sent(tables, tmp_path_factory.mktemp("spill"))
    facts = [facts_of(headers) for _, _, _, headers in found]
    assert [fact.version for fact in facts] == sorted(fact.version for fact in facts)
    wanted = {(record.epoch, record.sequence, record.event_id) for table in tables for record in table}
    assert len(facts) == len(wanted)
    assert {(fact.epoch, fact.sequence, fact.event_id) for fact in facts} == wanted
    kept = {(r.key.encode(), r.value, tuple(r.headers())) for table in tables for r in table}
    assert all((key, value, tuple(headers)) in kept for _, key, value, headers in found)
    assert all(partition == partition_of_key(key, 3) for partition, key, _, _ in found)


def test_pieces_and_levels_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of pieces, merged over several levels, give what one sort in memory gives, and the disk is freed."""
    monkeypatch.setattr("producers.replay.sorter.FAN_IN", 3)
    records = [Archived(f"o-{n % 7}", (n * 7919) % 2_000 + 1, value=b"v%d" % n) for n in range(2_000)]
    tables = [records[at : at + 20] for at in range(0, 2_000, 20)]
    found = [facts_of(headers).sequence for _, _, _, headers in sent(tables, tmp_path)]
    assert found == list(range(1, 2_001))
    assert 1 < len(list(tmp_path.iterdir())) <= 3 * 5


def test_the_disk_is_bounded(tmp_path: Path) -> None:
    """A range that does not fit the named bound ends with a sentence and the setting, not with a full disk."""
    sorter = Sorter(tmp_path, memory_bytes=6_000, spill_bytes=3_000)
    with pytest.raises(FatalError, match="takes more than") as refused:
        gather(
            [table_of([Archived("o-1", n, value=b"%d" % n) for n in range(1, 200)])] * 5,
            EVERYTHING,
            sorter,
            counts=Counts(1),
            after="",
        )
    assert "spill_bytes" in refused.value.hint


def test_a_range_and_an_order_are_selected() -> None:
    """Event time decides, its end excluded; with a key nothing else is taken; what is no change is counted apart."""
    table = table_of(
        [
            Archived("o-1", 1, at_ms=START_MS - 1),
            Archived("o-1", 2),
            None,
            Archived("o-2", 3),
            Archived("o-1", 4, at_ms=START_MS + 10),
        ]
    )
    both = select(table, Selection(START_MS, START_MS + 10), 4)
    assert (both.rows.num_rows, both.no_changes) == (2, 1)
    one = select(table, Selection(START_MS, START_MS + 11, b"o-1"), 4)
    assert [row["value"] for row in one.rows.to_pylist()] == [b"value", b"value"]
    assert one.no_changes == 0


def test_where_the_broker_stamped_the_arrival_the_header_tells_the_time() -> None:
    """In a topic with LogAppendTime a change happened when its header says."""
    table = table_of([Archived("o-1", 1, at_ms=START_MS + 10**9)])
    stamped = table.set_column(
        table.schema.get_field_index("timestamp_type"), "timestamp_type", table.column("timestamp_type").cast("int8")
    )
    assert select(stamped, Selection(START_MS, START_MS + 1), 1).rows.num_rows == 0
    import pyarrow as pa  # noqa: PLC0415 - beside its use

    stamped = table.set_column(2, table.schema.field(2), [pa.array([2], pa.int8())])
    assert select(stamped, Selection(START_MS, START_MS + 1), 1).rows.num_rows == 1


def test_counts_of_a_dry_run() -> None:
    """Records, bytes, partitions, ops and hours are those of the selected records."""
    counts = Counts(2)
    hour = START_MS // 3_600_000
    records = [
        Archived("o-1", 1, op="c"),
        Archived("o-2", 2),
        Archived("o-3", 3, at_ms=START_MS + 3_600_000),
        Archived("o-1", 4, at_ms=START_MS + 10**12),
    ]
    gather([table_of(records)], Selection(START_MS, START_MS + 10**10), None, counts=counts, after="")
    assert (counts.records, counts.payload_bytes) == (3, 3 * (5 + 3))
    assert counts.by_op == {"c": 1, "u": 2}
    assert counts.by_hour == {hour: 2, hour + 1: 1}
    assert sum(counts.by_partition.values()) == 3
    assert all(
        counts.by_partition[n] == sum(partition_of_key(r.key.encode(), 2) == n for r in records[:3]) for n in (0, 1)
    )


@pytest.mark.parametrize(
    "key, hashed",
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_keys_are_hashed_as_in_kafka(key: bytes, hashed: int) -> None:
    """The values of Kafka's own test of murmur2 (UtilsTest.testMurmur2)."""
    assert murmur2(key) == hashed & 0xFFFFFFFF


def test_keys_go_where_the_client_sends_them() -> None:
    """The live topic's producer, whose partitioner is librdkafka's murmur2_random, chooses the same partitions."""
    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2_random", "bootstrap.servers": "mock"})
    keys = [b"o-%d" % n + b"x" * (n % 9) for n in range(200)]
    chosen: dict[bytes, int] = {}
    for key in keys:
        producer.produce("orders", b"", key, on_delivery=lambda _, m: chosen.update({m.key(): m.partition()}))
    assert producer.flush(10) == 0
    partitions = len(producer.list_topics("orders", timeout=10).topics["orders"].partitions)
    assert partitions > 1
    assert chosen == {key: partition_of_key(key, partitions) for key in keys}
