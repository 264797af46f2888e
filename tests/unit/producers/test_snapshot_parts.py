"""The parts of a snapshot: rows, read units, what the topic remembers, markers, the partition of a key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.testing.simulator import item_of
from producers.snapshot import KafkaSnapshotLog
from producers.snapshot.rate import ReadUnits
from producers.snapshot.rows import RowContext, compose_rows
from producers.snapshot.scan import ScanPage
from producers.stream import FeedSource
from schemas.change import Op
from schemas.control import ControlKind
from schemas.headers import facts_of
from schemas.marker import SnapshotMarker, marker_headers, marker_of
from schemas.partitioner import murmur2, partition_of_key
from schemas.snapshot import (
    COMPLETE_KEY,
    REQUEST_KEY,
    Complete,
    GapNote,
    Request,
    Segment,
    SnapshotState,
    entry_json,
    gap_key,
    segment_key,
)
from schemas.version import Version, end_of_epoch_before
from tests.unit.producers.simulated_worker import PlainCodec

SOURCE = FeedSource("orders", "orders", "eu-west-1")
CONTEXT = RowContext(SOURCE, PlainCodec(), ("id",), 10**6)


def page(*revisions: int, after: dict[str, Any] | None = None) -> ScanPage:
    return ScanPage(tuple(item_of(f"k{number}", number) for number in revisions), after, 2.5)


def test_rows_are_changes_of_their_own_shard() -> None:
    """Op r, version (epoch, 0), dense ordinals in the segment's shard; a start before the first page, no end yet."""
    rows = compose_rows(page(1, 2, after={"id": {"S": "k2"}}), Segment(3, 7), CONTEXT, at_ms=10, now_ms=20)
    facts = [facts_of(headers) for _, _, headers, _ in rows.changes]
    assert [(f.op, f.version, f.shard, f.ordinal) for f in facts] == [
        (Op.READ, Version(7, 0), "snapshot-7-3", 0),
        (Op.READ, Version(7, 0), "snapshot-7-3", 1),
    ]
    assert [event.kind for event in rows.control] == [ControlKind.SHARD_START]
    assert (rows.segment.ordinal, rows.segment.units, rows.segment.done) == (1, 2.5, False)


def test_an_item_that_cannot_become_a_row_is_a_dead_letter_with_its_ordinal() -> None:
    """It is whole there, the control topic accounts for its ordinal, and the next row goes on behind it."""
    rows = compose_rows(page(12, 13, 14), replace(Segment(0, 2), begun=True, ordinal=4), CONTEXT, at_ms=10, now_ms=20)
    assert [facts_of(headers).ordinal for _, _, headers, _ in rows.changes] == [5, 7]
    ((_, value, headers, _),) = rows.dead
    assert b'"13"' in value
    assert dict(headers)["ce_ordinal"] == b"6"
    assert [(event.kind, event.ordinal) for event in rows.control] == [
        (ControlKind.REFUSED, 6),
        (ControlKind.SHARD_END, 7),
    ]
    assert rows.segment.done
    assert rows.segment.refused == 1


def test_what_the_filter_drops_takes_no_ordinal() -> None:
    """Rows that the feed does not publish are counted and leave no hole."""
    context = replace(CONTEXT, keep=lambda item: item["revision"]["N"] != "2")
    rows = compose_rows(page(1, 2, 3), Segment(0, 2), context, at_ms=10, now_ms=20)
    assert [facts_of(headers).ordinal for _, _, headers, _ in rows.changes] == [0, 1]
    assert rows.segment.dropped == 1


@given(st.lists(st.floats(0.5, 300), min_size=1, max_size=50))
def test_read_units_keep_to_their_rate(pages: list[float]) -> None:
    """However large the pages, what was used never exceeds the rate by more than one burst and the last page."""
    now = [0]
    units = ReadUnits(100, lambda: now[0])
    used = 0.0
    for cost in pages:
        now[0] += units.wait_ms()
        assert used <= 100 * (now[0] / 1_000 + 1) + 0.2
        units.use(cost)
        used += cost


def state_of(*entries: tuple[bytes, bytes]) -> SnapshotState:
    state = SnapshotState()
    for key, value in entries:
        state = state.apply(key, value)
    return state


def test_any_number_of_gaps_is_one_snapshot() -> None:
    """A gap under epoch e is covered by a snapshot above e, under way or complete; a later one asks for another."""
    gaps = [(gap_key(slot), entry_json(GapNote(1, 0))) for slot in range(3)]
    assert state_of(*gaps).due
    asked = (REQUEST_KEY, entry_json(Request(2, 4, 0)))
    assert not state_of(*gaps, asked).due
    assert state_of(*gaps, asked).pending == Request(2, 4, 0)
    complete = (COMPLETE_KEY, entry_json(Complete(2, 10, 0, 0)))
    assert state_of(*gaps, asked, complete).pending is None
    assert not state_of(*gaps, asked, complete).due
    assert state_of(*gaps, asked, complete, (gap_key(1), entry_json(GapNote(2, 0)))).due


def test_a_segment_is_resumed_with_its_binary_key() -> None:
    """The key where the scan goes on comes back as boto3 wants it; segments of a former snapshot do not count."""
    request = Request(2, 2, 0)
    segment = Segment(1, 2, after={"id": {"B": b"\x00\xff"}, "at": {"N": "1"}}, ordinal=9, begun=True)
    state = state_of((segment_key(0), entry_json(Segment(0, 1, done=True))), (segment_key(1), entry_json(segment)))
    assert state.segments_of(request) == [Segment(0, 2), segment]


def test_a_marker_is_known_by_its_headers_alone() -> None:
    """No key, no value, its type; a tombstone or a change's headers are none. A replay's copy is one."""
    marker = SnapshotMarker(epoch=3, partition=1, partitions=8, at_ms=1_700_000_000_123)
    headers = marker_headers(marker, "urn:dynamodb:eu-west-1:orders")
    assert marker_of(None, None, headers) == marker
    assert marker_of(b"o-1", None, headers) is None
    assert marker_of(None, b"", headers) is None
    assert marker_of(None, None, []) is None
    assert marker_of(None, None, [*headers, ("ce_replay", b"r")]) == marker
    assert marker_of(None, None, headers[:-1]) is None


@pytest.mark.parametrize(
    "key, expected",
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_partition_is_kafkas(key: str, expected: int) -> None:
    """Kafka's own vectors of murmur2 (UtilsTest.testMurmur2)."""
    assert murmur2(key.encode()) == expected & 0xFFFFFFFF
    assert partition_of_key(key.encode(), 8) == (expected & 0x7FFFFFFF) % 8


@given(st.integers(1, 10**9), st.integers(0, 10**40 - 1))
def test_the_end_of_an_epoch_lies_between_it_and_the_next(epoch: int, sequence: int) -> None:
    """Above everything that is known of an item, below every row of the epoch; as text too."""
    end = end_of_epoch_before(epoch + 1)
    assert Version(epoch, sequence) <= end < Version(epoch + 1, 0)
    assert Version(epoch, sequence).to_text() <= end.to_text() < Version(epoch + 1, 0).to_text()


def test_what_is_complete_is_read_back() -> None:
    """``@complete`` means a resize in the positions topic, and there it is left out; here it ends a snapshot."""
    log = KafkaSnapshotLog.__new__(KafkaSnapshotLog)
    told = [(COMPLETE_KEY, entry_json(Complete(2, 10, 0, 0)))]
    log.entries = lambda slot: told  # type: ignore[method-assign]
    assert log.read_back(0) == told
