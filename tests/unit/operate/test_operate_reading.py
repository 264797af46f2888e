"""What an operator is shown, from records alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime.dead_letters import CONTEXT_PREFIX
from feed.operate import Letter, gaps_of, letters_of, open_letters, slots_of
from feed.operate.desk import chosen
from feed.operate.gaps import told
from feed.operate.letters import MARK, Stored, marker
from feed.operate.slots import Held
from schemas.control import ControlEvent, ControlKind
from schemas.errors import ConfigError, FatalError
from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, ShardState, SlotRecord

BIG = 10**39 + 7


def gap(at_ms: int, shard: str = "shardId-1", **more: Any) -> ControlEvent:
    return ControlEvent(ControlKind.GAP, "orders", at_ms, shard=shard, **more)


def test_gaps_are_found_among_other_events_in_the_order_of_time() -> None:
    """Only gap events, oldest first."""
    events = [gap(2), ControlEvent(ControlKind.SHARD_END, "orders", 1, shard="shardId-0"), gap(1, "shardId-2")]
    assert [event.shard for event in gaps_of(events)] == ["shardId-2", "shardId-1"]


def test_a_gap_is_told_without_loss() -> None:
    """A sequence number of 40 digits stays what it is in JSON; what was never read is null."""
    said = orjson.loads(orjson.dumps(told(gap(1_764_000_000_123, sequence=BIG, certain=False, reason="trimmed"))))
    assert said["last_read"] == str(BIG)
    assert said["to"] is None
    assert (said["certain"], said["reason"], said["at"]) == (False, "trimmed", "2025-11-24T16:00:00.123Z")


def test_a_slot_tells_its_shards_epoch_age_and_what_is_held() -> None:
    """The last record of a key counts, a tombstone ends it, keys that begin with @ are no shards."""
    first = Position("shardId-1", "arn", at_ms=5)
    held = Position("shardId-1", "arn", ShardState.READING, at_ms=9, held="the shard is unlisted")
    done = Position("shardId-2", "arn", ShardState.FINISHED, at_ms=7)
    gone = Position("shardId-3", "arn", ShardState.FINISHED, at_ms=99)
    baseline = Baseline("arn-2", 2, 1, held="the table has a new stream")
    entries = [
        *((0, position.key, position.to_json()) for position in (first, gone, held, done)),
        (0, gone.key, None),
        (0, SLOT_KEY, SlotRecord(2, "arn", 8).to_json()),
        (0, BASELINE_KEY, baseline.to_json()),
        (0, b"@mark", None),
        (0, b"@later", b"a record of a newer version"),
    ]
    view, empty = slots_of(entries, 2)
    assert (view.slot, view.epoch, view.listed_at_ms, view.latest_at_ms) == (0, 2, 8, 9)
    assert view.states == {"reading": 1, "finished": 1}
    assert view.held == (
        Held("shardId-1", "the shard is unlisted"),
        Held("arn-2", "the table has a new stream"),
    )
    assert (empty.epoch, empty.latest_at_ms, empty.states, empty.held) == (None, None, {}, ())


def test_a_position_of_a_later_format_is_said_and_not_guessed() -> None:
    """A value that this version cannot read ends the command with a sentence."""
    with pytest.raises(FatalError, match="format 2"):
        slots_of([(0, b"shardId-1", b'{"v":2}')], 1)


def of_producer(offset: int, ordinal: int = 4) -> Stored:
    headers = (
        ("ce_shard", b"shardId-1"),
        ("ce_ordinal", b"%d" % ordinal),
        ("dead_letter_reason", b"total is no number"),
        ("dead_letter_path", b"after.total"),
    )
    return Stored(offset, 50, b"o-1", b"{}", headers)


def of_consumer(offset: int) -> Stored:
    facts = {"topic": b"orders", "partition": b"3", "offset": b"17", "exception.message": b"no such status"}
    # the change's own headers stay on the dead letter of a consumer
    headers = (("ce_shard", b"shardId-1"), *((CONTEXT_PREFIX + name, text) for name, text in facts.items()))
    return Stored(offset, 50, b"o-1", b"\xff", headers)


def test_each_kind_of_dead_letter_says_where_it_came_from_and_why() -> None:
    """The producer's by shard and ordinal, a consumer's by topic, partition and offset."""
    assert letters_of([of_producer(0), of_consumer(1)]) == [
        Letter(0, 50, "shardId-1 ordinal 4", "total is no number", "after.total"),
        Letter(1, 50, "orders[3]@17", "no such status"),
    ]


def test_a_record_without_any_header_is_listed_too() -> None:
    """What something else wrote is shown, not a traceback."""
    (letter,) = letters_of([Stored(3, 1, None, b"x", ())])
    assert (letter.origin, letter.reason, letter.open) == ("?[?]@?", "no reason is given", True)


@given(st.lists(st.sampled_from(["letter", "retried", "mark", "retried-unknown"]), max_size=30), st.data())
def test_open_is_what_no_marker_names(kinds: list[str], data: st.DataObject) -> None:
    """Law: open letters are those written less those named by a marker; marks and markers are no letters."""
    records: list[Stored] = []
    written: list[int] = []
    named: set[int] = set()
    for offset, kind in enumerate(kinds):
        match kind:
            case "letter":
                written.append(offset)
                records.append(of_producer(offset))
            case "mark":
                records.append(Stored(offset, 60, b"@mark", None, ((MARK, b"60"),)))
            case "retried" if written:
                target = data.draw(st.sampled_from(written))
                named.add(target)
                records.append(Stored(offset, 60, b"o-1", None, marker(target, "published")))
            case _:
                records.append(Stored(offset, 60, b"o-1", None, marker(10_000, "published")))
    letters = letters_of(records)
    assert [letter.offset for letter in letters] == written
    assert [letter.offset for letter in open_letters(letters)] == [offset for offset in written if offset not in named]


def test_what_is_retried_is_chosen_before_anything_is_done() -> None:
    """Oldest first; an offset that is no letter, or was retried, refuses all of them."""
    letters = letters_of(
        [of_producer(0), of_producer(1), of_producer(2), Stored(3, 9, b"", None, marker(1, "handled"))]
    )
    assert [letter.offset for letter in chosen(letters, (), 1)] == [0]
    assert [letter.offset for letter in chosen(letters, (), 100)] == [0, 2]
    assert [letter.offset for letter in chosen(letters, (2, 0, 2), 1)] == [0, 2]
    with pytest.raises(ConfigError) as refused:
        chosen(letters, (0, 1, 3), 100)
    assert refused.value.faults == ("the dead letter 1 was retried", "offset 3 is no dead letter")
