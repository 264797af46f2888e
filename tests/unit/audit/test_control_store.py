"""The control topic's consumer beside the main one: they end together, and an error of either is raised."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry

from connectors.telemetry import Telemetry
from consumers.audit.sink import AuditMetrics
from feed.run.control_store import ControlSeries, ControlStore
from schemas.errors import FatalError


class Running:
    """A consumer that runs until it is asked to stop, or fails."""

    def __init__(self, stop: threading.Event, error: Exception | None = None) -> None:
        self._stop = stop
        self._error = error
        self.ended = False

    def run_forever(self) -> None:
        if self._error is not None:
            raise self._error
        self._stop.wait(30)
        self.ended = True


def test_it_ends_with_the_main_consumer() -> None:
    """When the main loop returns, the control topic's is asked to stop and waited for."""
    stop = threading.Event()
    running = Running(stop)
    with ControlStore(running, stop):  # type: ignore[arg-type]  # a double
        pass
    assert running.ended


def test_its_error_stops_the_main_consumer_and_is_raised() -> None:
    """The main loop is asked to stop, ends in order, and the process ends with the error."""
    stop = threading.Event()
    with (
        pytest.raises(FatalError, match="gap on"),
        ControlStore(Running(stop, FatalError("gap on orders.control", hint="")), stop),  # type: ignore[arg-type]  # a double
    ):
        assert stop.wait(10)


def test_an_error_of_the_main_consumer_is_the_one_that_is_raised() -> None:
    """The control topic's consumer is stopped all the same."""
    stop = threading.Event()
    running = Running(stop)
    with pytest.raises(FatalError, match="main"), ControlStore(running, stop):  # type: ignore[arg-type]  # a double
        raise FatalError("main", hint="")
    assert running.ended


def test_its_series_are_served_beside_those_of_the_main_sink() -> None:
    """Both sinks count under the same names; the process shows each once, so nobody adds up control events as changes.

    And Prometheus refuses a page that tells one family twice.
    """
    process, beside = Telemetry("consumer-audit"), CollectorRegistry()
    process.registry.register(ControlSeries(beside))
    AuditMetrics(process.registry).records.inc(7)
    AuditMetrics(beside).records.inc(2)
    page = process.answer("/metrics")[2].decode().splitlines()
    assert "feed_sink_audit_records_total 7.0" in page
    assert "feed_control_sink_audit_records_total 2.0" in page
    types = [line for line in page if line.startswith("# TYPE ")]
    assert len(types) == len(set(types))
