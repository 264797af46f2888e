"""Brokers restarted one after another."""

from __future__ import annotations

from pathlib import Path

import pytest

from feed.local import Site
from tests.faults.producers.broker_restarts import parts, run

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def test_three_brokers_restarted_under_load_cost_nothing(local_site: Site, tmp_path: Path) -> None:
    """Each of three brokers stops in order and comes back while two workers publish: the judges find no fault."""
    with parts(local_site, tmp_path) as (bench, cluster):
        result = run(bench, cluster, rounds=1, rate=100.0, say=print)
    assert result.verdict.holds, result.verdict.examples()
    # a bound against a reader that is stuck, not a measure: a busy machine takes long to start a broker
    assert max(result.stood_still_s) < 60.0
