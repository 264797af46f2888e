"""Records as columns and back, whatever their headers are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.columns import FileFacts, RecordColumns, StoredRecord, read_records, write_file
from consumers.columns.builder import CHUNK_RECORDS, REPEATS
from tests.unit.feed_records import record

NAMES = st.sampled_from(["ce_id", "ce_shard", "ce_ordinal", "ce_type", "trace", "ü"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=4) | st.just(b"7")), max_size=4)
FACTS = FileFacts("cluster-1", "topic-1", "orders", 0, 0, 0, 0, {})


def through_a_file(records: list[StoredRecord]) -> list[StoredRecord]:
    """Written and read back."""
    columns = RecordColumns()
    for start in range(0, len(records), 3):
        columns.extend(records[start : start + 3])
    return list(read_records(write_file(columns.table(), FACTS), name="a"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(HEADERS, st.binary(max_size=3) | st.none(), st.binary(max_size=3) | st.none()), max_size=8))
def test_any_record_comes_back(parts: list[tuple[list[tuple[str, bytes]], bytes | None, bytes | None]]) -> None:
    """Keys, values and headers of any number, order and repetition, absent ones among them, byte for byte."""
    records = [
        StoredRecord("orders", 0, offset, key, value, headers, 1, offset)
        for offset, (headers, key, value) in enumerate(parts)
    ]
    assert through_a_file(records) == records


@settings(max_examples=100, deadline=None)
@given(HEADERS, st.integers(1, 12))
def test_uniform_headers_are_told_like_others(headers: list[tuple[str, bytes]], count: int) -> None:
    """The quick way for records with the same names, and the other one, find the same facts."""
    records = [StoredRecord("orders", 0, n, b"k", b"v", headers, 1, n) for n in range(count)]
    mixed = [*records, StoredRecord("orders", 0, count, b"k", b"v", [*headers, ("one more", b"")], 1, count)]
    quick, slow = RecordColumns(), RecordColumns()
    quick.extend(records)
    slow.extend(mixed)
    assert quick.table().equals(slow.table().slice(0, count).combine_chunks())


def test_batches_larger_than_the_shared_names() -> None:
    """However many records come at once, each keeps its headers."""
    records = [record(offset) for offset in range(REPEATS + CHUNK_RECORDS)]
    columns = RecordColumns()
    columns.extend(records)
    assert list(read_records(write_file(columns.table(), FACTS), name="a")) == records
