"""Which offset may be committed, as laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime.offsets import OffsetTracker
from schemas.errors import FatalError


@st.composite
def partitions(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    """A start, offsets with holes from it on, and an order in which their effects end."""
    start = draw(st.integers(0, 1_000))
    offsets, position = [], start
    for gap in draw(st.lists(st.integers(0, 3), max_size=40)):
        position += gap
        offsets.append(position)
        position += 1
    return start, offsets, draw(st.permutations(offsets))


@given(partitions())
def test_commit_is_the_contiguous_prefix(case: tuple[int, list[int], list[int]]) -> None:
    """However the effects end, the commit is the lowest offset without one, and it never goes back."""
    start, offsets, order = case
    tracker = OffsetTracker(start)
    for offset in offsets:
        tracker.take(offset)
    left, before = set(offsets), tracker.committable()
    for offset in order:
        tracker.finish(offset)
        left.discard(offset)
        now = tracker.committable()
        assert now == (min(left) if left else offsets[-1] + 1)
        assert now >= before
        before = now
    assert tracker.span() == 0


@given(partitions(), st.data())
def test_passing_what_is_done_in_line(case: tuple[int, list[int], list[int]], data: st.DataObject) -> None:
    """Records that are done at once leave the commit at the first that is not, as if each had been taken."""
    start, offsets, _ = case
    tracker = OffsetTracker(start)
    slow = set(data.draw(st.lists(st.sampled_from(offsets), unique=True)) if offsets else [])
    for offset in offsets:
        if offset in slow:
            tracker.take(offset)
        else:
            tracker.pass_to(offset + 1)
    assert tracker.committable() == (min(slow) if slow else tracker.position)


def test_a_marker_at_the_end_is_passed() -> None:
    """The end of a partition behind a marker can be committed once everything before it is done."""
    tracker = OffsetTracker(0)
    tracker.take(0)
    tracker.pass_to(2)
    assert tracker.committable() == 0
    tracker.finish(0)
    assert tracker.committable() == 2


def test_never_backwards() -> None:
    """An offset before one already taken is a fault of the client, and fatal."""
    tracker = OffsetTracker(5)
    with pytest.raises(FatalError, match="offset 4 came after 4"):
        tracker.take(4)
    tracker.take(7)
    with pytest.raises(FatalError):
        tracker.pass_to(7)
