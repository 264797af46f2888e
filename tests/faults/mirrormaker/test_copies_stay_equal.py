"""The campaign's short form: a kill, a cut and a copy that is down for longer than the target keeps its records."""

from __future__ import annotations

import pytest

from tests.faults.mirrormaker.campaign import DRAIN_WITHIN_S, SHORT, SHORT_S, campaign
from tests.faults.mirrormaker.delays import Delays, Window, quantile

pytestmark = pytest.mark.faults


def test_three_regions_hold_the_same_records_after_kill_cut_and_lapse() -> None:
    """After MirrorMaker was killed, cut off, and down past retention, every region has eu's records in order, once."""
    report = campaign(SHORT, SHORT_S)
    assert report.emptied, "the target's records had not expired: the fault was none"
    assert report.identical, report.text()
    assert len(report.windows) == len(SHORT)
    assert report.slowest_recovery_s < DRAIN_WITHIN_S


def test_delays_are_judged_as_the_report_says() -> None:
    """A backlog is caught up when its last record was readable; what was under way in a fault is not among the calm."""
    usual = [(float(t), t + 0.2) for t in range(100)]
    behind = [(t, max(received, 60.0 + (t - 50) * 0.1)) if 50 <= t <= 60 else (t, received) for t, received in usual]
    delays = Delays([value for pair in behind for value in pair])
    assert delays.caught_up_after(55.0) == pytest.approx(6.0)
    assert delays.caught_up_after(80.0) == pytest.approx(0.2)
    calm = delays.outside([Window("cut", "us", 49.1, 61.0)])
    assert (len(calm), round(quantile(calm, 0.99), 3)) == (87, 0.2)
