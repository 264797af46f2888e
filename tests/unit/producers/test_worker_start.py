"""What ends a worker when it starts, and what does not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from connectors.telemetry import Telemetry
from producers.stream import FeedSource, ProducerSettings, Worker, worker
from schemas.errors import ConfigError, RetryableError
from tests.unit.producers.simulated_worker import PlainCodec


class Stream:
    """A table whose description fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def status(self, _: str) -> Any:
        raise self._error


def start(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a worker; the next thing it asks for after the table is the positions topic, which is not there."""

    def no_topic(*_: object) -> Any:
        raise ConfigError("there is no positions topic", hint="")

    monkeypatch.setattr(worker, "find_positions", no_topic)
    nothing: Any = None
    Worker(
        FeedSource("orders", "orders", "eu-west-1"),
        ProducerSettings(),
        kafka=nothing,
        aws=nothing,
        codec=PlainCodec(),
        telemetry=Telemetry("producer"),
        stop=threading.Event(),
        stream=stream,  # type: ignore[arg-type]  # what a start needs of it
    ).run_forever()


def test_a_service_that_is_busy_does_not_end_a_worker_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """DescribeTable is throttled: discovery asks again, and the start goes on."""
    with pytest.raises(ConfigError, match="positions topic"):
        start(Stream(RetryableError("throttled", hint="")), monkeypatch)


def test_a_table_that_cannot_work_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without a stream is told before anything else."""
    with pytest.raises(ConfigError, match="no stream"):
        start(Stream(ConfigError("table orders has no stream", hint="")), monkeypatch)
