"""Where the records of the old slots go, and what a resize finds among a cluster's topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.stream.positions_topic import (
    COMPLETE_KEY,
    MOVED_KEY,
    PositionsTopic,
    marker,
    moved_error,
    positions_name,
    slot_id,
    versions_of,
)
from producers.stream.resize import plan_resize
from schemas.errors import ConfigError, FatalError
from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, ShardState, SlotRecord, slot_of

STREAM = "arn:stream/1"


def old_slots(shards: int, slots: int) -> list[dict[bytes, bytes]]:
    """A feed with so many shards, every slot with a record of its own."""
    made: list[dict[bytes, bytes]] = [{} for _ in range(slots)]
    for number in range(shards):
        position = Position(f"shardId-{number:020d}", STREAM, ShardState.READING, 10**22 + number, number)
        made[slot_of(position.shard, slots)][position.key] = position.to_json()
    for number, records in enumerate(made):
        records[SLOT_KEY] = SlotRecord(3, STREAM, 1_000 + number).to_json()
    made[0][BASELINE_KEY] = Baseline(STREAM, 3, 999).to_json()
    return made


@given(shards=st.integers(0, 60), before=st.integers(1, 20), after=st.integers(1, 20))
def test_every_position_is_in_the_slot_that_its_new_owner_reads(shards: int, before: int, after: int) -> None:
    """Nothing is lost, doubled or changed, and each record lies where the new number of slots puts it."""
    found = old_slots(shards, before)
    planned = plan_resize(found, after)
    assert len(planned) == after
    positions = {key: value for records in planned for key, value in records.items() if not key.startswith(b"@")}
    assert positions == {key: value for records in found for key, value in records.items() if not key.startswith(b"@")}
    for slot, records in enumerate(planned):
        assert all(slot_of(key.decode(), after) == slot for key in records if not key.startswith(b"@"))
        assert (BASELINE_KEY in records) is (slot == 0)
        assert SlotRecord.from_json(records[SLOT_KEY]) == SlotRecord(3, STREAM, 1_000), "what all old slots have"
    assert planned[0][BASELINE_KEY] == found[0][BASELINE_KEY]


@given(shards=st.integers(0, 40), counts=st.lists(st.integers(1, 16), min_size=1, max_size=4))
def test_resizes_one_after_another_give_what_one_gives(shards: int, counts: list[int]) -> None:
    """8 → 3 → 16 holds what 8 → 16 holds."""
    there = plan_resize(old_slots(shards, 8), counts[-1])
    step = old_slots(shards, 8)
    for count in counts:
        step = plan_resize([{**records, MOVED_KEY: b"{}", COMPLETE_KEY: b"{}"} for records in step], count)
    assert step == there


def test_a_feed_that_has_not_begun_has_nothing_to_copy() -> None:
    """Nor a record of a slot."""
    assert plan_resize([{}, {}], 3) == [{}, {}, {}]
    assert plan_resize([{MOVED_KEY: b"{}"}, {}], 1) == [{}]


@pytest.mark.parametrize("change", ["absent", "epoch", "stream"])
def test_slots_that_do_not_agree_are_not_resized(change: str) -> None:
    """A new slot would have to say of itself what only some of its shards' old slots have done."""
    found = old_slots(5, 4)
    if change == "absent":
        del found[2][SLOT_KEY]
    else:
        record = SlotRecord(2, STREAM, 1) if change == "epoch" else SlotRecord(3, "arn:stream/2", 1)
        found[2][SLOT_KEY] = record.to_json()
    with pytest.raises(ConfigError, match="under one epoch"):
        plan_resize(found, 8)


def test_a_record_of_a_later_version_is_not_lost() -> None:
    """What is not known cannot be put in its place."""
    with pytest.raises(FatalError, match="@later"):
        plan_resize([{b"@later": b"{}"}], 2)


def test_versions_are_found_by_their_names() -> None:
    """Only the feed's own positions topics, oldest first; ten comes after nine."""
    topics = {
        "orders.positions": 8,
        "orders.positions.v10": 5,
        "orders.positions.v2": 3,
        "orders.positions.v9": 4,
        "orders.positions.v1": 1,
        "orders.positions.v02": 1,
        "orders.positions.v2.old": 1,
        "xorders.positions": 1,
        "orders": 4,
    }
    found = versions_of("orders", topics)
    assert [(topic.version, topic.slots, topic.name) for topic in found] == [
        (1, 8, "orders.positions"),
        (2, 3, "orders.positions.v2"),
        (9, 4, "orders.positions.v9"),
        (10, 5, "orders.positions.v10"),
    ]


def test_each_version_has_ids_of_its_own() -> None:
    """A worker of an old version cannot fence one of the new; the first version keeps the names it always had."""
    assert (positions_name("orders", 1), slot_id("orders", 1, 3)) == ("orders.positions", "orders.slot-3")
    assert (positions_name("orders", 2), slot_id("orders", 2, 3)) == ("orders.positions.v2", "orders.v2.slot-3")


def test_who_finds_that_the_positions_have_moved_is_told_where() -> None:
    """The sentence names both topics, the hint what to do."""
    error = moved_error("orders.positions", marker(PositionsTopic("orders", 2, 16), 1))
    assert "from orders.positions to orders.positions.v2" in str(error)
    assert "feed slots resize" in error.hint
