"""What a slot says about shards: baseline, known shards, gaps, and which shards may be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.dynamodb_streams import Listing, Shard, Sightings, observe
from producers.stream.survey import (
    RETIRE_AFTER_MS,
    TRIMMED_AFTER,
    Scene,
    Statement,
    gap,
    may_read,
    survey,
)
from schemas.control import ControlKind
from schemas.position import Baseline, Position, ShardState, SlotRecord, slot_of

ARN, NEXT_ARN = "arn:stream/1", "arn:stream/2"
MINUTE = 60_000


def seen_at(at_ms: int, *shards: Shard, stream: str = ARN, before: Sightings | None = None) -> Sightings:
    listing = Listing(stream, {shard.id: shard for shard in shards}, complete=True, at_ms=at_ms)
    return observe(before or Sightings(stream), listing)


def scene(**fields: Any) -> Scene:
    values: dict[str, Any] = {
        "feed": "orders",
        "slot": 0,
        "slots": 1,
        "now_ms": 1_000_000,
        "stream": ARN,
        "baseline": Baseline(ARN, 1, 0),
        "own": {},
        "record": SlotRecord(1, ARN, 0),
        "others": {},
        "sightings": {},
        "refused_since_ms": {},
        "named_since_ms": {},
        "start_latest": False,
        "fail_on_gap": False,
        "absence_min_ms": MINUTE,
        "refused_max_ms": 600_000,
    }
    return Scene(**(values | fields))


def told(statements: list[Statement]) -> list[ControlKind]:
    return [event.kind for statement in statements for event in statement.control]


def positions(statements: list[Statement]) -> dict[str, Position]:
    return {s.position.shard: s.position for s in statements if s.position is not None}


def test_the_baseline_needs_a_complete_listing() -> None:
    """Without one complete listing nothing begins; with it, every shard is named, and the parents already gone."""
    assert survey(scene(baseline=None, record=None)) == []
    partial = observe(Sightings(ARN), Listing(ARN, {"b": Shard("b", "a")}, complete=False, at_ms=5))
    assert survey(scene(baseline=None, record=None, sightings={ARN: partial})) == []
    (begun,) = survey(scene(baseline=None, record=None, sightings={ARN: seen_at(5, Shard("b", "a"), Shard("c", "b"))}))
    assert begun.baseline == Baseline(ARN, 1, 5, since_ms=5, shards={"b": "a", "c": "b"}, gone=("a",))


def test_only_slot_0_begins() -> None:
    """Another slot waits for the baseline."""
    assert survey(scene(slot=1, slots=2, baseline=None, record=None, sightings={ARN: seen_at(5)})) == []


def test_a_slot_takes_in_its_own_shards_of_the_baseline() -> None:
    """Each shard of the slot becomes known; a parent before the baseline is not waited for."""
    shards = {f"s{n}": "gone" if n == 0 else "" for n in range(20)}
    baseline = Baseline(ARN, 1, 5, shards=shards, gone=("gone",), start="latest@9")
    statements = survey(scene(slots=4, slot=2, baseline=baseline, record=None))
    mine = {shard for shard in shards if slot_of(shard, 4) == 2}
    assert positions(statements).keys() == mine
    assert {p.start for p in positions(statements).values()} == {"latest@9"}
    assert {p.parent for p in positions(statements).values()} == {""}
    assert told(statements) == [ControlKind.SHARD_START] * len(mine) + [ControlKind.EPOCH]
    assert statements[-1].record is not None


def test_a_shard_of_the_baseline_that_is_no_longer_listed_is_known_all_the_same() -> None:
    """It vanished between the baseline and this slot's first run: only a record lets that be noticed."""
    baseline = Baseline(ARN, 1, 5, shards={"b": ""})
    assert "b" in positions(survey(scene(baseline=baseline, record=None, sightings={ARN: seen_at(9)})))


def test_a_retired_shard_of_the_baseline_does_not_come_back() -> None:
    """Once the slot has taken the baseline in, a shard without a record stays without."""
    assert survey(scene(baseline=Baseline(ARN, 1, 5, shards={"b": ""}))) == []


def test_children_start_at_the_trim_horizon() -> None:
    """A shard listed later has no recorded start, and may not have existed at the slot's last listing."""
    baseline = Baseline(ARN, 1, 5, shards={"b": ""}, start="latest@9")
    own = {"b": Position("b", ARN, ShardState.READING)}
    seen = seen_at(70_000, Shard("b"), Shard("c", "b"))
    found = positions(
        survey(scene(baseline=baseline, own=own, sightings={ARN: seen}, record=SlotRecord(1, ARN, 60_000)))
    )
    assert found["c"].start == ""
    assert found["c"].parent == "b"
    assert found["c"].since_ms == 60_000


def test_a_named_parent_without_a_record_is_asked_for_when_it_is_unlisted() -> None:
    """A waiting child names a parent that nobody knows: it becomes known once two listings since then lack it."""
    own = {"c": Position("c", ARN, parent="b")}
    once = seen_at(MINUTE, Shard("c", "b"), before=seen_at(0, Shard("c", "b")))
    named = {"b": 1}
    assert positions(survey(scene(own=own, sightings={ARN: once}, named_since_ms=named))) == {}
    twice = seen_at(2 * MINUTE, Shard("c", "b"), before=once)
    found = positions(survey(scene(own=own, sightings={ARN: twice}, named_since_ms=named)))
    assert found["b"].state is ShardState.KNOWN
    before = Baseline(ARN, 1, 0, gone=("b",))
    assert positions(survey(scene(own=own, baseline=before, sightings={ARN: twice}, named_since_ms=named))) == {}


def test_a_refused_shard_is_a_gap_only_when_it_is_unlisted() -> None:
    """Refusal alone, or one listing without it, concludes nothing."""
    own = {"b": Position("b", ARN, ShardState.READING, sequence=7, ordinal=3)}
    once = seen_at(MINUTE, before=seen_at(0, Shard("b")))
    twice = seen_at(2 * MINUTE, before=once)
    patient = {"refused_since_ms": {"b": MINUTE - 1}, "refused_max_ms": 10**9}
    assert survey(scene(own=own, sightings={ARN: once}, **patient)) == []
    assert survey(scene(own=own, sightings={ARN: twice})) == []
    statements = survey(scene(own=own, sightings={ARN: twice}, **patient))
    assert positions(statements)["b"].state is ShardState.GAP
    (event,) = statements[0].control
    assert (event.kind, event.shard, event.sequence, event.ordinal, event.certain) == (
        ControlKind.GAP,
        "b",
        7,
        3,
        False,
    )


def test_a_shard_that_is_listed_but_refused_for_long_is_a_gap_too() -> None:
    """A server that lists what it does not have cannot stall the feed for ever, nor silently."""
    own = {"b": Position("b", ARN, ShardState.READING)}
    seen = {ARN: seen_at(0, Shard("b"))}
    assert survey(scene(own=own, sightings=seen, refused_since_ms={"b": 500_000})) == []
    assert told(survey(scene(own=own, sightings=seen, refused_since_ms={"b": 400_000}))) == [ControlKind.GAP]


def test_under_the_policy_fail_a_gap_holds_the_shard_and_stops() -> None:
    """The gap is told once; a restart stops again without telling; a start with ``continue`` goes on behind it."""
    own = {"b": Position("b", ARN, ShardState.READING, sequence=7)}
    failing = scene(own=own, fail_on_gap=True)
    held = gap(failing, own["b"], TRIMMED_AFTER)
    assert held.fatal
    assert held.position is not None
    assert held.position.held
    assert held.position.state is ShardState.READING
    again = survey(replace(failing, own={"b": held.position}))
    assert [s.fatal != "" for s in again] == [True]
    assert told(again) == []
    resumed = survey(scene(own={"b": held.position}))
    assert told(resumed) == []
    assert positions(resumed)["b"].start == "trimmed"
    assert not positions(resumed)["b"].held


def test_a_new_stream_is_a_gap_and_raises_the_epoch() -> None:
    """A stream disabled and enabled again has a new ARN: a gap event, a new baseline, the old shards read first."""
    own = {"b": Position("b", ARN, ShardState.READING)}
    sightings = {ARN: seen_at(9, Shard("b")), NEXT_ARN: seen_at(9, Shard("n"), stream=NEXT_ARN)}
    (begun,) = survey(scene(stream=NEXT_ARN, own=own, sightings=sightings))
    assert begun.baseline is not None
    assert (begun.baseline.epoch, begun.baseline.after) == (2, ARN)
    assert begun.control[0].kind is ControlKind.GAP
    assert begun.baseline.since_ms == 0  # the last listing that found the stream before to be the table's
    (unsure,) = survey(scene(stream=NEXT_ARN, own=own, sightings=sightings, record=None))
    assert unsure.baseline is not None
    assert unsure.baseline.since_ms == 0  # this slot never took a listing in: the baseline before counts
    after = scene(stream=NEXT_ARN, own=own, sightings=sightings, baseline=begun.baseline)
    statements = survey(after)
    assert positions(statements).keys() == {"n"}
    assert not any(s.record for s in statements)  # "b" is not read to its end yet
    fresh, records = positions(statements)["n"], {0: SlotRecord(1, ARN, 0)}
    assert not may_read(fresh, own.get, begun.baseline, records, 1)
    finished = replace(after, own={"b": replace(own["b"], state=ShardState.FINISHED), "n": fresh})
    assert survey(finished) == []  # a child of "b" may be listed late
    later = {**sightings, ARN: seen_at(9 + MINUTE, Shard("b"), before=sightings[ARN])}
    assert told(survey(replace(finished, sightings=later))) == [ControlKind.EPOCH]
    assert may_read(fresh, own.get, begun.baseline, {0: SlotRecord(2, NEXT_ARN, 0)}, 1)


def test_a_child_waits_until_its_parent_is_terminal() -> None:
    """Unknown, known and reading parents hold it back; finished ones and gaps do not."""
    child, baseline = Position("c", ARN, parent="b"), Baseline(ARN, 1, 0)
    assert not may_read(child, lambda _: None, baseline, {}, 1)
    for state in ShardState:
        parent = Position("b", ARN, state)
        assert may_read(child, lambda _, parent=parent: parent, baseline, {}, 1) is state.terminal
    assert may_read(replace(child, parent=""), lambda _: None, baseline, {}, 1)
    assert not may_read(replace(child, parent=""), lambda _: None, None, {}, 1)


def test_a_terminal_position_goes_when_it_can_never_matter_again() -> None:
    """Only when it is unlisted for 48 h and its children are being read; a leaf stays."""
    parent = Position("b", ARN, ShardState.FINISHED)
    child = Position("c", ARN, ShardState.READING, parent="b")
    seen = seen_at(2 * MINUTE, Shard("c", "b"), before=seen_at(MINUTE, Shard("c", "b"), before=seen_at(0)))
    first = survey(scene(own={"b": parent, "c": child}, sightings={ARN: seen}))
    noted = positions(first)["b"]
    assert noted.unlisted_at_ms == 1_000_000
    later = scene(own={"b": noted, "c": child}, sightings={ARN: seen}, now_ms=1_000_000 + RETIRE_AFTER_MS)
    assert [s.retired for s in survey(later)] == ["b"]
    assert survey(replace(later, now_ms=later.now_ms - 1)) == []
    assert survey(replace(later, own={"b": noted, "c": replace(child, state=ShardState.KNOWN)})) == []
    assert not any(s.retired for s in survey(replace(later, own={"b": noted})))


def test_the_slots_record_follows_the_listings() -> None:
    """It is rewritten when the listing that it names is ten minutes old."""
    seen = {ARN: seen_at(600_000)}
    (statement,) = survey(scene(sightings=seen))
    assert statement.record == SlotRecord(1, ARN, 600_000)
    assert survey(scene(sightings=seen, record=statement.record)) == []
