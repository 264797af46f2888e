"""Metrics, health and readiness on one port."""

from __future__ import annotations

import itertools
import logging
import urllib.error
import urllib.request

import pytest

from connectors.telemetry import LATENCY_BUCKETS_S, Telemetry


def status_of(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_is_red_while_any_check_is_and_says_why() -> None:
    """One red check makes /healthz 503 with its reason; clearing it makes it green again."""
    telemetry = Telemetry("test")
    port = telemetry.serve()
    try:
        assert status_of(port, "/healthz")[0] == 200
        assert status_of(port, "/readyz")[0] == 503, "nothing said yet is not ready"
        telemetry.readiness.set("assignment", ok=True)
        telemetry.health.set("partition-3", ok=False, reason="stalled for 70 s")
        assert status_of(port, "/readyz")[0] == 200
        assert status_of(port, "/healthz") == (503, "RED partition-3 stalled for 70 s\n")
        telemetry.health.clear("partition-3")
        assert status_of(port, "/healthz")[0] == 200
        assert 'feed_up{process="test"} 1.0' in status_of(port, "/metrics")[1]
        assert status_of(port, "/other")[0] == 404
    finally:
        telemetry.close()


def test_buckets_cover_the_budget_finely() -> None:
    """From 5 ms past a minute, each at most 15 % (and rounding) above the last."""
    assert LATENCY_BUCKETS_S[0] == 0.005
    assert LATENCY_BUCKETS_S[-1] > 60
    assert all(b / a < 1.16 for a, b in itertools.pairwise(LATENCY_BUCKETS_S))


def test_parts_of_a_process_share_its_checks_under_their_names() -> None:
    """Two feeds in one process do not hide each other's red, and each clears only its own."""
    telemetry = Telemetry("test")
    orders, readings = telemetry.part("orders"), telemetry.part("readings")
    orders.health.set("slots", ok=True)
    readings.health.set("slots", ok=False, reason="assigned but not running: [3]")
    assert telemetry.answer("/healthz")[0] == 503
    assert telemetry.answer("/healthz")[2] == b"ok  orders slots\nRED readings slots assigned but not running: [3]\n"
    orders.health.clear("slots")
    assert set(telemetry.health.read()) == {"readings slots"}
    assert orders.registry is telemetry.registry


def test_a_check_that_turns_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Red with its reason and green again; the same said again is quiet, and so is a beginning."""
    telemetry = Telemetry("test")
    with caplog.at_level(logging.INFO, logger="connectors.telemetry"):
        telemetry.readiness.set("slots", ok=False, reason="no slot is assigned yet")
        for _ in range(3):
            telemetry.part("orders").health.set("shards", ok=True)
        for _ in range(3):
            telemetry.part("orders").health.set("shards", ok=False, reason="no answer for 30 s")
        telemetry.readiness.set("slots", ok=True, reason="running: [0]")
    assert [record.getMessage() for record in caplog.records] == [
        "health red check=orders shards reason=no answer for 30 s",
        "readiness green check=slots reason=running: [0]",
    ]


def test_health_and_readiness_are_metrics_as_well() -> None:
    """An alert sees what the pages answer, at the moment of the scrape."""
    telemetry = Telemetry("producer")

    def told() -> tuple[float | None, float | None]:
        found = {"process": "producer"}
        return tuple(telemetry.registry.get_sample_value(name, found) for name in ("feed_healthy", "feed_ready"))  # type: ignore[return-value]  # two names, two values

    assert told() == (1.0, 0.0)
    telemetry.readiness.set("slots", ok=True)
    assert told() == (1.0, 1.0)
    telemetry.health.set("shards", ok=False, reason="no answer")
    assert told() == (0.0, 1.0)
