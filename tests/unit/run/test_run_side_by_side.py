"""Several feeds in one process: one stop for all, and a failure of one is a failure of the process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from feed.run.producer import FeedWorker, run_side_by_side
from schemas.errors import ConfigError, FatalError

WITHIN_S = 5.0


class Worker:
    """Runs until the stop event, or until it is told to fail; knows whether it left in an orderly way."""

    def __init__(self, stop: threading.Event, failure: Exception | None = None) -> None:
        self._stop, self._failure = stop, failure
        self.left = False

    def run_forever(self) -> None:
        if self._failure is not None:
            raise self._failure
        assert self._stop.wait(WITHIN_S)
        self.left = True


def run(stop: threading.Event, **workers: Any) -> None:
    run_side_by_side([FeedWorker(feed, worker) for feed, worker in workers.items()], stop)


def test_one_stop_ends_all() -> None:
    """Nothing is raised, every feed has left."""
    stop = threading.Event()
    workers = {name: Worker(stop) for name in ("orders", "readings")}
    threading.Timer(0.05, stop.set).start()
    run(stop, **workers)
    assert all(worker.left for worker in workers.values())


@pytest.mark.parametrize("kind", [FatalError, ConfigError])
def test_a_feed_that_fails_stops_the_others_and_is_named(kind: type[FatalError]) -> None:
    """The process ends with its sentence and hint; the others leave in an orderly way."""
    stop = threading.Event()
    orders = Worker(stop)
    with pytest.raises(kind, match="feed readings: changes of shard s-1 may be missing") as caught:
        run(stop, orders=orders, readings=Worker(stop, kind("changes of shard s-1 may be missing", hint="feed gaps")))
    assert caught.value.hint == "feed gaps"
    assert orders.left


def test_a_bug_in_one_feed_is_no_silence() -> None:
    """An unexpected error ends the process too."""
    stop = threading.Event()
    orders = Worker(stop)
    with pytest.raises(FatalError, match="feed readings: its worker failed"):
        run(stop, orders=orders, readings=Worker(stop, RuntimeError("a bug")))
    assert orders.left
