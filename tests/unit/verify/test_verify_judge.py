"""The judge of a place: what it must hold against a place, and what it must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.verify import Expected, Finding, Judge, Place, Seen, expect, last_change
from feed.workload import Entry, Outcome, WorkloadSettings
from feed.workload.rehearsal import Rehearsal, rehearse
from schemas.change import Op
from schemas.errors import ConfigError

RUN: Rehearsal = rehearse(WorkloadSettings(rate_per_s=100, seconds=6, lanes=2, delete_share=0.3, burst_share=0.3))
EXPECTED: Expected = expect(RUN.entries)
PLACE = Place("topic", "us", bursts=True)


def perfect() -> list[Seen]:
    """What a place without a fault holds."""
    digests: dict[str, int] = {}
    seen = []
    for entry in RUN.entries:
        if entry.op is None:
            continue
        before = digests.get(entry.order, 0)
        number = len(seen)
        seen.append(
            Seen(entry.order, entry.number, entry.op, entry.digest, before, f"e-{number}", "s", number, 1, f"#{number}")
        )
        digests[entry.order] = entry.digest
    return seen


def judge(seen: list[Seen], place: Place = PLACE, expected: Expected = EXPECTED) -> Finding:
    judging = Judge(expected, place)
    for one in seen:
        judging.see(one)
    return judging.conclude()


def counts(finding: Finding) -> dict[str, int]:
    return {kind: faults.count for kind, faults in finding.faults().items() if faults.count}


def later_of_same_order(seen: list[Seen], start: int) -> tuple[int, int]:
    """Two neighbouring changes of one order, the first at or after ``start`` (or from the beginning)."""
    for first in [*range(start, len(seen)), *range(start)]:
        for second in range(first + 1, len(seen)):
            if seen[second].order == seen[first].order:
                return first, second
    raise AssertionError("no order with two changes")


def test_a_perfect_place_holds() -> None:
    """Everything once and in order: no fault, every burst counted."""
    finding = judge(perfect())
    assert finding.holds
    assert finding.expected == finding.found == len(perfect()) == EXPECTED.changes
    assert finding.bursts == len(EXPECTED.bursts) > 5


@given(st.integers(0, len(perfect()) - 1))
@settings(deadline=None)
def test_a_dropped_change_is_missing(place: int) -> None:
    """Whichever change is dropped, exactly it is missing."""
    seen = perfect()
    dropped = seen.pop(place)
    finding = judge(seen)
    assert counts(finding)["missing"] == 1
    assert f"change {dropped.number} of {dropped.order}" in finding.missing.examples[0]
    assert set(counts(finding)) <= {"missing", "bursts not seen in full"}


@given(st.integers(0, len(perfect()) - 1), st.integers(0, len(perfect())))
@settings(deadline=None)
def test_a_repeated_change_is_duplicated(place: int, at: int) -> None:
    """Whichever change comes again, wherever, exactly one is duplicated."""
    seen = perfect()
    again = seen[place]
    seen.insert(at, again)
    found = counts(judge(seen))
    assert found["duplicated"] == 1
    assert set(found) <= {"duplicated", "out of order"}


@given(st.integers(0, len(perfect()) - 1))
@settings(deadline=None)
def test_swapped_changes_of_an_order_are_out_of_order(start: int) -> None:
    """Two neighbouring changes of one order swapped: out of order, and nothing else."""
    seen = perfect()
    first, second = later_of_same_order(seen, start)
    seen[first], seen[second] = seen[second], seen[first]
    assert counts(judge(seen)) == {"out of order": 1}


def test_order_between_orders_is_not_judged() -> None:
    """Changes of different orders may come in any order: no promise is made about it."""
    assert judge(sorted(perfect(), key=lambda one: (one.order, one.number))).holds


ALTERATIONS: dict[str, Callable[[Seen], Seen]] = {
    "after": lambda one: one._replace(after=(one.after or 0) ^ 1),
    "before": lambda one: one._replace(before=(one.before or 0) ^ 1),
    "op": lambda one: one._replace(op=Op.DELETE),
}


@pytest.mark.parametrize("part", ALTERATIONS)
def test_an_altered_change_is_caught(part: str) -> None:
    """Another after-image, before-image or op than was written is an alteration."""
    seen = perfect()
    seen[7] = ALTERATIONS[part](seen[7])
    assert counts(judge(seen)) == {"altered": 1}


def test_what_nobody_wrote_is_unexpected() -> None:
    """An order that the ledger does not know, and a number beyond its last, are both unexpected."""
    seen = perfect()
    assert counts(judge([*seen, seen[0]._replace(order="o-other")])) == {"unexpected": 1}
    assert counts(judge([*seen, seen[0]._replace(number=10_000)])) == {"unexpected": 1}
    assert counts(judge([*seen, seen[0]._replace(number=0)])) == {"unexpected": 1}


def test_a_place_of_last_states_is_judged_by_them() -> None:
    """A table of states must hold the last change of each order, and only that."""
    place = Place("state", "ap", wanted=last_change, ordered=False)
    last = {one.order: one for one in perfect()}
    assert judge(list(last.values()), place).holds
    stale = next(one for one in perfect() if one is not last[one.order])
    last[stale.order] = stale
    assert counts(judge(list(last.values()), place)) == {"missing": 1, "unexpected": 1}


def test_an_unknown_outcome_may_go_either_way() -> None:
    """A write whose outcome the ledger does not know is no fault when found, and none when not."""
    first = Entry("o-9", 1, Op.CREATE, "created", 11, 0, 1)
    unsure = Entry("o-9", 2, Op.UPDATE, "paid", 12, 2, 3, Outcome.UNKNOWN)
    expected = expect([first, unsure])
    found = [
        Seen("o-9", 1, Op.CREATE, 11, 0, "e1", "s", 0, 1, ""),
        Seen("o-9", 2, Op.UPDATE, 12, 11, "e2", "s", 1, 1, ""),
    ]
    for seen in (found, found[:1]):
        finding = judge(seen, expected=expected)
        assert finding.holds
        assert finding.expected == len(seen)


def test_a_ledger_with_a_hole_is_refused() -> None:
    """A ledger that leaves out a number cannot prove anything."""
    entries = [entry for entry in RUN.entries if entry.op is not None]
    second = next(place for place, entry in enumerate(entries) if entry.number == 2)
    with pytest.raises(ConfigError, match="has write"):
        expect([*entries[:second], *[replace(entry, number=entry.number) for entry in entries[second + 1 :]]])
