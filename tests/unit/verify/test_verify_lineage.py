"""Completeness by ordinals and lineage alone, and differences between regions."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from feed.verify import Difference, Lineage, LineageFinding
from feed.verify.lineage import Ordinals
from schemas.control import ControlEvent, ControlKind


def start(shard: str, parent: str = "") -> ControlEvent:
    return ControlEvent(ControlKind.SHARD_START, "orders", 1, shard=shard, parent=parent)


def end(shard: str, last: int) -> ControlEvent:
    return ControlEvent(ControlKind.SHARD_END, "orders", 2, shard=shard, ordinal=last)


CONTROL = [start("a"), end("a", 9), start("b", "a"), start("c", "a"), end("c", -1), start("d", "c")]
"""a ends and splits into b, which is open, and c, which ends empty and goes on as d."""
CHANGES = [("a", n) for n in range(10)] + [("b", n) for n in range(20)] + [("d", n) for n in range(3)]


def conclude(changes: list[tuple[str, int]], control: list[ControlEvent] = CONTROL) -> LineageFinding:
    lineage = Lineage()
    for shard, ordinal in changes:
        lineage.see(shard, ordinal)
    return lineage.conclude("topic", "eu", control)


def counts(finding: LineageFinding) -> dict[str, int]:
    return {kind: faults.count for kind, faults in finding.faults().items() if faults.count}


@given(st.randoms())
@settings(deadline=None)
def test_dense_ordinals_in_any_order_hold(order: random.Random) -> None:
    """All ordinals of all shards once, in whatever order: complete."""
    changes = CHANGES.copy()
    order.shuffle(changes)
    finding = conclude(changes)
    assert finding.holds
    assert (finding.shards, finding.ended, finding.changes) == (4, 2, 33)


@given(st.integers(0, len(CHANGES) - 1))
@settings(deadline=None)
def test_a_dropped_ordinal_is_missing(place: int) -> None:
    """Any change dropped is missing, except the very last of a shard that is still open, which nobody can know of."""
    shard, ordinal = CHANGES[place]
    finding = conclude(CHANGES[:place] + CHANGES[place + 1 :])
    assert counts(finding) == ({} if (shard, ordinal) in {("b", 19), ("d", 2)} else {"ordinals missing": 1})


@given(st.integers(0, len(CHANGES) - 1))
@settings(deadline=None)
def test_a_repeated_ordinal_is_duplicated(place: int) -> None:
    """Any change twice is found."""
    assert counts(conclude([*CHANGES, CHANGES[place]])) == {"ordinals duplicated": 1}


def test_a_refused_ordinal_is_accounted_for() -> None:
    """A change that the control topic says was refused is not missing."""
    refused = ControlEvent(ControlKind.REFUSED, "orders", 2, shard="a", ordinal=4, reason="decode")
    finding = conclude([one for one in CHANGES if one != ("a", 4)], [*CONTROL, refused])
    assert finding.holds
    assert finding.refused == 1


def test_a_skipped_shard_breaks_the_lineage() -> None:
    """A child whose parent has neither an end nor a gap: a shard was skipped."""
    control = [event for event in CONTROL if event.shard != "c"]
    assert counts(conclude(CHANGES, control)) == {"lineage broken": 1}


def test_a_declared_gap_is_a_fault_of_its_own() -> None:
    """A parent with a gap does not break the lineage, but the gap is told."""
    control = [event for event in CONTROL if event.shard != "c"]
    gap = ControlEvent(ControlKind.GAP, "orders", 3, shard="c", reason="trimmed")
    assert counts(conclude(CHANGES, [*control, gap])) == {"gaps declared": 1}


def test_a_shard_without_a_start_and_changes_beyond_an_end_are_found() -> None:
    """Changes of a shard that was never announced, and changes past the end that was announced, break the lineage."""
    assert counts(conclude([*CHANGES, ("x", 0)])) == {"lineage broken": 1}
    assert counts(conclude([*CHANGES, ("a", 10)])) == {"lineage broken": 1}
    assert counts(conclude(CHANGES, [*CONTROL, end("a", 9)])) == {"lineage broken": 1}


@given(st.sets(st.integers(0, 300)), st.integers(-1, 310))
@settings(deadline=None)
def test_ordinals_know_their_holes(seen: set[int], last: int) -> None:
    """The bit map's missing ones are those of 0 … last that were never added."""
    ordinals = Ordinals()
    assert all(ordinals.add(ordinal) for ordinal in seen)
    assert not any(ordinals.add(ordinal) for ordinal in seen)
    assert sorted(ordinals.missing(last)) == sorted(set(range(last + 1)) - seen)


REGIONS = ("eu", "us", "ap")


def compare(rows: dict[str, list[tuple[str, int]]], order: random.Random) -> Difference:
    """Feed the rows of one partition, interleaved at random, each row in its own order."""
    difference = Difference("changes", REGIONS)
    queues = {region: list(row) for region, row in rows.items()}
    while any(queues.values()):
        region = order.choice([name for name, queue in queues.items() if queue])
        event, raw = queues[region].pop(0)
        difference.see(region, 0, event, raw)
    return difference


ROW = [(f"e{number}", number * 31) for number in range(40)]


@given(st.randoms())
@settings(deadline=None)
def test_equal_regions_do_not_differ(order: random.Random) -> None:
    """However far one region is read ahead of another."""
    finding = compare(dict.fromkeys(REGIONS, ROW), order).conclude()
    assert finding.holds
    assert finding.compared == 40


@given(st.randoms(), st.integers(0, 38), st.sampled_from(REGIONS), st.sampled_from(["drop", "twice", "swap", "alter"]))
@settings(deadline=None)
def test_any_single_difference_is_found(order: random.Random, place: int, region: str, fault: str) -> None:
    """One record dropped, doubled, swapped with the next, or with another byte in one region: exactly one
    difference."""
    row = ROW.copy()
    if fault == "drop":
        del row[place]
    elif fault == "twice":
        row.insert(place, row[place])
    elif fault == "swap":
        row[place], row[place + 1] = row[place + 1], row[place]
    else:
        row[place] = (row[place][0], row[place][1] + 1)
    finding = compare({**dict.fromkeys(REGIONS, ROW), region: row}, order).conclude()
    assert finding.differing.count == 1
