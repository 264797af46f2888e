"""The copy audit's judgement, on two sequences that a seed mistreats."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrormaker.audit import AuditState, Comparison, Kind, Print, fingerprint, load_state
from schemas.errors import ConfigError


def prints(numbers: list[int]) -> list[Print]:
    """Records whose content is a number, at offsets with the holes that transactions leave."""
    return [Print(number.to_bytes(16, "big"), 3 * index) for index, number in enumerate(numbers)]


def judge(source: list[int], copy: list[int], *, seed: int = 0, window: int = 100, aligned: bool = True) -> Comparison:
    """Feed both sides in random pieces, as much as is wanted, to the end."""
    comparison = Comparison(aligned=aligned, window=window)
    chance = random.Random(seed)
    left, right = prints(source), prints(copy)
    while left or right:
        if left and not comparison.source_full:
            size = chance.randint(1, 30)
            comparison.add_source(left[:size])
            left = left[size:]
        if right and not comparison.copy_full:
            size = chance.randint(1, 30)
            comparison.add_copy(right[:size])
            right = right[size:]
        before = (len(left), len(right), comparison.tally.matched)
        comparison.compare()
        stuck = (comparison.source_full or not left) and (comparison.copy_full or not right)
        if stuck and before == (len(left), len(right), comparison.tally.matched):
            break
    comparison.give_up()
    return comparison


NUMBERS = st.lists(st.integers(0, 10_000), unique=True, max_size=300)


@given(NUMBERS, st.integers(0, 1000))
def test_equal_sides_are_equal_however_they_come(numbers: list[int], seed: int) -> None:
    """A copy that is its original has no difference, whatever the pieces, and every record was matched."""
    tally = judge(numbers, numbers, seed=seed).tally
    assert not tally.differs
    assert tally.matched == len(numbers)


@given(NUMBERS.filter(lambda numbers: len(numbers) > 1), st.data())
def test_a_dropped_record_is_missing(numbers: list[int], data: st.DataObject) -> None:
    """One record that the copy lacks is one missing, at its offset, and nothing else."""
    index = data.draw(st.integers(0, len(numbers) - 1))
    tally = judge(numbers, numbers[:index] + numbers[index + 1 :]).tally
    assert tally.counts == {Kind.MISSING: 1}
    assert tally.examples[Kind.MISSING][0].source_offset == 3 * index


@given(NUMBERS.filter(lambda numbers: len(numbers) > 1), st.data())
def test_a_repeated_record_is_repeated(numbers: list[int], data: st.DataObject) -> None:
    """One record that the copy has again, right behind or a little later, is one repeated."""
    index = data.draw(st.integers(0, len(numbers) - 1))
    again = data.draw(st.integers(index + 1, min(len(numbers), index + 50)))
    copy = [*numbers[:again], numbers[index], *numbers[again:]]
    assert judge(numbers, copy).tally.counts == {Kind.REPEATED: 1}


@given(NUMBERS.filter(lambda numbers: len(numbers) > 2), st.data())
def test_an_altered_record_is_one_missing_and_one_foreign(numbers: list[int], data: st.DataObject) -> None:
    """One byte that differs: the original is missing, and something foreign is in its place."""
    index = data.draw(st.integers(0, len(numbers) - 1))
    copy = [*numbers[:index], 99_999, *numbers[index + 1 :]]
    assert judge(numbers, copy).tally.counts == {Kind.MISSING: 1, Kind.FOREIGN: 1}


@given(NUMBERS.filter(lambda numbers: len(numbers) > 2), st.data())
def test_swapped_records_are_reordered(numbers: list[int], data: st.DataObject) -> None:
    """Two neighbours in the other order are one reordered, not a loss."""
    index = data.draw(st.integers(0, len(numbers) - 2))
    copy = list(numbers)
    copy[index], copy[index + 1] = copy[index + 1], copy[index]
    counts = {kind: count for kind, count in judge(numbers, copy).tally.counts.items() if count}
    assert counts == {Kind.REORDERED: 1}


@given(st.lists(st.integers(0, 50), max_size=200), st.lists(st.integers(0, 50), max_size=200), st.integers(0, 99))
def test_nothing_passes_unnoticed(source: list[int], copy: list[int], seed: int) -> None:
    """Of any two sequences: no difference is told exactly when they are equal."""
    assert judge(source, copy, seed=seed, window=1000).tally.differs == (source != copy)


def test_a_block_that_was_skipped_is_counted_whole() -> None:
    """What the source trimmed before it was copied: all of it is missing, and the rest is compared."""
    numbers = list(range(1000))
    tally = judge(numbers, numbers[:300] + numbers[340:]).tally
    assert tally.counts == {Kind.MISSING: 40}
    assert tally.matched == 960


def test_a_block_longer_than_the_window_is_told_too() -> None:
    """With bounded memory the far end is not seen, but nothing of it is silent."""
    numbers = list(range(1000))
    tally = judge(numbers, numbers[:100] + numbers[700:], window=50).tally
    assert tally.counts[Kind.MISSING] >= 50


def test_a_copy_that_keeps_less_is_aligned_first() -> None:
    """The source has seven days, the copy one: older records are not a difference."""
    numbers = list(range(1000))
    tally = judge(numbers, numbers[600:], aligned=False).tally
    assert not tally.differs
    assert (tally.before, tally.matched) == (600, 400)


def test_a_source_that_begins_later_is_aligned_too() -> None:
    """After a gap at the source the copy is read up to it; what the source has and the copy skipped is missing."""
    comparison = Comparison(aligned=True)
    comparison.restart(copy_is_older=True)
    comparison.add_copy(prints(list(range(50))))
    comparison.compare()
    comparison.add_source(prints(list(range(80, 90))))
    comparison.compare()
    comparison.add_copy(prints([*range(50, 80), *range(82, 90)]))
    comparison.compare()
    assert comparison.tally.counts == {Kind.MISSING: 2}
    assert (comparison.tally.matched, comparison.tally.before) == (8, 0)


def test_memory_is_bounded() -> None:
    """However far the copy is behind, a side takes no more than its window."""
    comparison = Comparison(aligned=True, window=10)
    comparison.add_source(prints(list(range(10))))
    comparison.compare()
    assert comparison.source_full
    assert comparison.waiting == prints([0])[0]


def test_resume_point_is_behind_the_last_match() -> None:
    """What is pending is read again after a restart; what was matched is not."""
    comparison = Comparison(aligned=True)
    comparison.add_source(prints([1, 2, 3]))
    comparison.add_copy(prints([1, 2]))
    comparison.compare()
    assert (comparison.next_source_offset, comparison.next_copy_offset) == (4, 4)


@pytest.mark.parametrize(
    "one,other",
    [
        ((b"k", b"v", []), (b"k", b"w", [])),
        ((b"k", b"v", []), (b"kv", b"", [])),
        ((None, b"v", []), (b"", b"v", [])),
        ((b"k", None, []), (b"k", b"", [])),
        ((b"k", b"v", [("a", b"b")]), (b"k", b"v", [("ab", b"")])),
        ((b"k", b"v", [("a", b"1"), ("b", b"2")]), (b"k", b"v", [("b", b"2"), ("a", b"1")])),
        ((b"k", b"v", [("a", None)]), (b"k", b"v", [("a", b"")])),
    ],
)
def test_fingerprints_tell_apart(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    """Absent and empty, key and value, order of headers: whatever a copy must keep makes another fingerprint."""
    assert fingerprint(*one) != fingerprint(*other)


def test_state_survives_and_refuses_what_it_is_not(tmp_path: Path) -> None:
    """A saved state is loaded as it was; another file is refused with a hint."""
    file = tmp_path / "state.json"
    assert load_state(file) == AuditState()
    state = AuditState({"eu/orders": "abc"}, {"orders/0": (5, 7)})
    state.save(file)
    assert load_state(file) == state
    file.write_text('{"version": 9}')
    with pytest.raises(ConfigError):
        load_state(file)


def test_what_the_copy_had_read_stays_when_the_source_was_trimmed() -> None:
    """The copy's records that came before the source's gap was noticed are compared with what the source still has."""
    comparison = Comparison(aligned=True)
    comparison.add_copy([Print(b"a" * 16, 0), Print(b"c" * 16, 1), Print(b"d" * 16, 2)])
    comparison.compare()
    assert comparison.restart(copy_is_older=True) == 0
    comparison.add_source([Print(b"c" * 16, 7), Print(b"d" * 16, 8)])
    comparison.compare(ended=True)
    assert (comparison.tally.matched, comparison.tally.counts) == (2, {})
