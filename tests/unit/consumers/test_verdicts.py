"""The small decisions of the runtime: back-off, outage, poison, progress, pressure, where to start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.runtime.backoff import Backoff
from consumers.runtime.outage import Outage
from consumers.runtime.poison import PoisonLimit, PoisonWindow
from consumers.runtime.pressure import Limits, Load
from consumers.runtime.progress import Progress, Sample, judge
from consumers.runtime.reaction import time_of
from consumers.runtime.start import Start, check_range, start_of
from schemas.change import Op
from schemas.errors import FatalError
from tests.unit.order_changes import change, life, order

ERROR = RuntimeError("poison")


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_on_both_sides(attempt: int, random: float) -> None:
    """Never longer than the cap, never shorter than half of what it would be without jitter, for any attempt."""
    delay = Backoff(100, 30_000).delay_ms(attempt, lambda: random)
    whole = min(30_000, 100 * 2 ** min(attempt - 1, 20))
    assert whole // 2 <= delay <= whole


def test_an_outage_tries_one_at_a_time_until_one_works() -> None:
    """After the set number of failures in a row one record is tried at a time, each after a back-off."""
    outage = Outage(3, Backoff(100, 1_000), lambda: 0.0)
    assert [outage.failed(0), outage.failed(0), outage.failed(0)] == [False, False, True]
    assert not outage.may_try(49, 0)
    assert outage.may_try(50, 0)
    assert not outage.may_try(50, 1)
    assert not outage.failed(50)
    assert outage.wait_ms(50) == 100
    assert outage.worked()
    assert outage.may_try(50, 5)


def test_a_success_between_failures_is_no_outage() -> None:
    """One key that keeps failing while others work is a parked key, not an outage."""
    outage = Outage(3, Backoff(100, 1_000), lambda: 0.0)
    for _ in range(10):
        outage.failed(0)
        assert not outage.worked()
    assert not outage.on


def test_poison_below_the_share_or_the_count_is_normal() -> None:
    """A few poison records among many, or few records at all, never stop the consumer."""
    window = PoisonWindow(PoisonLimit(60_000, 0.1, 5))
    window.count(0, records=4, poison=4)
    window.check(ERROR)
    window.count(0, records=96)
    window.count(0, records=5, poison=5)
    window.check(ERROR)


def test_poison_above_both_stops() -> None:
    """Past the share and the count the consumer stops, and the message says how much it was."""
    window = PoisonWindow(PoisonLimit(60_000, 0.1, 5))
    window.count(0, records=20)
    window.count(0, records=5, poison=5)
    with pytest.raises(FatalError, match="5 of the last 25 records were poison, more than 10% within 60 s"):
        window.check(ERROR)


def test_poison_is_forgotten_after_the_window() -> None:
    """What happened a window ago no longer counts, and a clock that steps back breaks nothing."""
    window = PoisonWindow(PoisonLimit(60_000, 0.1, 5))
    window.count(0, records=5, poison=5)
    window.count(61_000, records=4, poison=4)
    window.count(50_000)
    window.check(ERROR)


def samples(*pairs: tuple[int, int]) -> list[Sample]:
    return [Sample(10_000 * number, committed, lag) for number, (committed, lag) in enumerate(pairs)]


@pytest.mark.parametrize(
    "window, expected",
    [
        (samples(), Progress.OK),
        (samples((5, 3), (5, 3), (5, 3)), Progress.OK),  # not watched for long enough
        (samples((5, 3), (5, 3), (5, 9), (5, 9)), Progress.STALL),
        (samples((5, 3), (5, 0), (5, 9), (5, 9)), Progress.OK),
        (samples((5, 3), (6, 4), (7, 5), (8, 6)), Progress.BEHIND),
        (samples((5, 3), (6, 4), (7, 4), (8, 6)), Progress.OK),
        (samples((5, 3), (4, 4), (5, 3)), Progress.REWIND),
    ],
)
def test_progress_by_burrows_rules(window: list[Sample], expected: Progress) -> None:
    """Stall, falling behind, rewind and fine are told apart."""
    assert judge(window, 30_000, 30_000) is expected


def test_a_loop_that_gives_no_sample_has_stopped() -> None:
    """When the last sample is older than the window, the loop itself stands still."""
    assert judge(samples((5, 0)), 30_001, 30_000) is Progress.STOP
    assert not Progress.STOP.healthy


@given(st.lists(st.integers(0, 40), max_size=60))
def test_marks_never_flip_flop(counts: list[int]) -> None:
    """Between two pauses lies a load of at most half the limit; between two resumes one at the limit."""
    limits = Limits(records=20, payload_bytes=1_000, parked_keys=1_000, span=1_000)
    paused, last = False, 0
    for count in counts:
        load = Load(records=count)
        if not paused and limits.past(load):
            paused, last = True, count
        elif paused and limits.relaxed(load):
            assert last >= 20
            assert count <= 10
            paused = False


def test_a_limit_says_which_it_is() -> None:
    """The reason of a pause names the bound and both numbers."""
    limits = Limits(records=20, payload_bytes=1_000, parked_keys=5, span=1_000)
    assert limits.past(Load(records=3, parked_keys=6)) == "parked_keys 6 ≥ 5"
    assert limits.past(Load(records=3)) is None


def test_where_a_group_starts() -> None:
    """None committed: the earliest, committed at once. Else there; out of range is a gap, never a reset."""
    assert start_of("t[0]", None, 7, 9) == Start(7, commit=True)
    assert start_of("t[0]", 9, 7, 9) == Start(9, commit=False)
    assert start_of("t[0]", 3, 7, 9) == Start(3, commit=False)  # the sink may know better
    with pytest.raises(FatalError, match="made anew"):
        start_of("t[0]", 10, 7, 9)
    with pytest.raises(FatalError, match=r"gap on t\[0\].*up to 4 records"):
        check_range("t[0]", 3, 7, 9)
    with pytest.raises(FatalError, match="made anew"):
        check_range("t[0]", 10, 7, 9)


def test_the_time_of_a_write() -> None:
    """It comes from the item's attribute, from capture without one, and a delete or a strange value has none."""
    read = time_of("updatedAt")
    assert read(life("created")[0]) == 1_764_000_000_000
    assert read(life("created", deleted=True)[-1]) is None
    assert read(change(Op.CREATE, None, order("created", 1, updatedAt="yesterday"), sequence=1)) is None
    assert time_of(None)(life("created")[0]) == 0
