"""The campaign in its short form: every named point struck by both blows."""

from __future__ import annotations

import pytest

from tests.faults.producers.campaign import POINTS, run
from tests.integration.producers.producer_bench import Bench

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def test_workers_struck_at_every_point_lose_and_repeat_nothing(bench: Bench) -> None:
    """Three are killed and frozen in turns while shards roll and split; every slot gets on, and the judges agree."""
    report = run(bench, seconds=0, each=2, seed=7, say=print)
    assert set(report.struck) == {(point, blow) for point in POINTS for blow in ("SIGKILL", "SIGSTOP")}
    assert report.verdict.holds, report.verdict.examples()
