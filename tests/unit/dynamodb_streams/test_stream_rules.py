"""Iterators and polling: the rules of the source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.dynamodb_streams import (
    IteratorSpec,
    Pace,
    PollPolicy,
    after_error,
    after_page,
    first_iterator,
    latest_cut_ms,
    latest_start,
)

POLICY = PollPolicy()
SEQUENCES = st.none() | st.integers(1, 10**40)


def page(pace: Pace, records: int, *, age_ms: int = 0, closed: bool = False, now_ms: int = 10_000_001) -> Pace:
    return after_page(POLICY, pace, records=records, newest_ms=now_ms - age_ms, now_ms=now_ms, closed=closed)


@given(SEQUENCES, SEQUENCES, st.booleans())
def test_an_iterator_is_after_what_was_read_else_after_what_was_saved(
    read: int | None, saved: int | None, trimmed: bool
) -> None:
    """Law: AFTER read, else AFTER saved (unless a gap says it is trimmed), else the trim horizon."""
    spec = first_iterator(read, saved, trimmed=trimmed)
    if read is not None:
        assert spec == IteratorSpec("AFTER_SEQUENCE_NUMBER", read)
    elif saved is not None and not trimmed:
        assert spec == IteratorSpec("AFTER_SEQUENCE_NUMBER", saved)
    else:
        assert spec == IteratorSpec("TRIM_HORIZON")


def test_a_start_with_what_is_new_keeps_the_whole_grain_of_time() -> None:
    """Times are cut to the minute by DynamoDB Local: a record of the starting minute is kept."""
    assert latest_cut_ms(latest_start(120_500)) == 120_000
    assert latest_cut_ms("") == 0
    assert latest_cut_ms("trimmed") == 0


def test_at_the_tip_a_shard_is_asked_four_times_a_second() -> None:
    """A small fresh page is followed by a pause of the poll interval."""
    assert page(Pace(), 3).delay_ms == 250


def test_behind_the_next_read_follows_at_once() -> None:
    """A page that is large, or old, or of a closed shard is followed without a pause."""
    assert page(Pace(), 600).delay_ms == 0
    assert page(Pace(), 3, age_ms=10_000).delay_ms == 0
    assert page(Pace(), 3, closed=True).delay_ms == 0


def test_a_time_cut_to_the_minute_is_not_behind() -> None:
    """A record that DynamoDB Local dates to the start of the minute does not make the reader spin."""
    now_ms = 10 * 60_000 + 55_000
    pace = after_page(POLICY, Pace(), records=3, newest_ms=10 * 60_000, now_ms=now_ms, closed=False)
    assert pace.delay_ms == 250


def test_an_idle_shard_is_asked_ever_more_rarely_up_to_the_bound() -> None:
    """The pauses grow after eight empty answers and end at idle_max_ms."""
    pace, delays = Pace(), []
    for _ in range(14):
        pace = page(pace, 0)
        delays.append(pace.delay_ms)
    assert delays[:8] == [250] * 8
    assert max(delays) == 1_000
    assert page(pace, 1).empties == 0


@given(st.integers(0, 60), st.floats(0, 1, exclude_max=True))
def test_errors_back_off_within_bounds(errors: int, random: float) -> None:
    """Law: the pause after an error lies between half the ceiling and the ceiling, and never above error_max_ms."""
    pace = after_error(POLICY, Pace(errors=errors), lambda: random)
    ceiling = min(5_000, 100 * 2 ** min(errors, 16))
    assert ceiling // 2 <= pace.delay_ms <= ceiling
    assert pace.errors == errors + 1
