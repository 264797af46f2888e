"""DescribeStream calls of all workers together stay below what AWS allows an account."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.dynamodb_streams import (
    DESCRIBE_LIMIT_PER_SECOND,
    CallBudget,
    Listing,
    Page,
    Shard,
    StreamClient,
    StreamStatus,
)
from feed.testing.simulator import SimulatedClock, SimulatedStreams
from producers.stream import Clock, ProducerSettings
from producers.stream.discovery import Discovery
from producers.stream.view import View
from schemas.errors import RetryableError

BEGIN_MS = 1_800_000_000_123
PER_SECOND = 8.0


class Lister:
    """A worker that lists page after page, on a clock that may be wrong by ``skew_ms``."""

    def __init__(self, own: frozenset[int], slots: int, *, seed: int = 1, skew_ms: int = 0) -> None:
        self.now_ms, self.skew_ms = BEGIN_MS, skew_ms
        self.called_ms: list[int] = []
        self.budget = CallBudget(
            PER_SECOND, now_ms=lambda: self.now_ms + skew_ms, sleep_ms=self._sleep, random=random.Random(seed).random
        )
        self.budget.assign(own, slots)

    def _sleep(self, ms: int) -> None:
        self.now_ms += ms

    def call(self, took_ms: int = 0) -> None:
        """One DescribeStream."""
        self.budget.take()
        self.called_ms.append(self.now_ms)
        self.now_ms += took_ms


def busiest_second(called_ms: list[int]) -> int:
    """The most calls that any window of a second holds."""
    return max(sum(1 for at in called_ms if first <= at < first + 1_000) for first in called_ms)


def listers(slots: int, workers: int, seed: int, skews_ms: list[int]) -> list[Lister]:
    """Workers that share the slots as a group does."""
    return [
        Lister(frozenset(range(number, slots, workers)), slots, seed=seed + number, skew_ms=skews_ms[number])
        for number in range(workers)
    ]


@settings(max_examples=60)
@given(
    slots=st.integers(1, 32),
    workers=st.integers(1, 32),
    took_ms=st.integers(0, 300),
    skews_ms=st.lists(st.integers(-20, 20), min_size=32, max_size=32),
    begin_ms=st.integers(0, 5_000),
    seed=st.integers(0, 1_000),
)
def test_all_workers_together_stay_below_the_limit(
    slots: int, workers: int, took_ms: int, skews_ms: list[int], begin_ms: int, seed: int
) -> None:
    """However many start in one moment and list 2,000 shards (20 pages): never more calls than AWS allows."""
    found = listers(slots, min(workers, slots), seed, skews_ms)
    for lister in found:
        lister.now_ms += begin_ms
        for _ in range(20):
            lister.call(took_ms)
    assert busiest_second([at for lister in found for at in lister.called_ms]) <= DESCRIBE_LIMIT_PER_SECOND


def test_the_simulated_service_never_throttles_them() -> None:
    """Eight workers list 2,000 shards at once, from a service that refuses the eleventh call of a second."""
    found = listers(8, 8, 3, [0] * 8)
    for lister in found:
        for _ in range(20):
            lister.call(5)
    clock = SimulatedClock()
    streams = SimulatedStreams(clock, random.Random(1))
    arn, streams.rates.describes_per_second = streams.enable(), DESCRIBE_LIMIT_PER_SECOND
    called_ms = sorted(at for lister in found for at in lister.called_ms)
    for before, at in pairwise((BEGIN_MS, *called_ms)):
        clock.advance(at - before)
        streams.describe(arn, "", 100)


def test_clocks_that_differ_by_much_keep_the_rate() -> None:
    """Workers whose clocks are wrong by up to two seconds: in the long run no more calls than were asked for."""
    found = listers(8, 5, 7, [-2_000, -700, 0, 900, 2_000])
    for lister in found:
        while lister.now_ms < BEGIN_MS + 60_000:
            lister.call()
    called = [at for lister in found for at in lister.called_ms if at < BEGIN_MS + 60_000]
    assert len(called) <= 60 * PER_SECOND + len(found)


def test_a_worker_alone_lists_as_fast_as_the_feed_may() -> None:
    """2,000 shards, 20 pages at 8 a second, with all windows its own."""
    lister = Lister(frozenset(range(8)), 8)
    for _ in range(20):
        lister.call()
    assert 2_000 <= lister.called_ms[-1] - BEGIN_MS <= 2_600


def test_nothing_is_saved_up() -> None:
    """After an hour without a call there is one, not many."""
    lister = Lister(frozenset({0}), 8)
    lister.call()
    lister.now_ms += 3_600_000
    for _ in range(3):
        lister.call()
    assert lister.called_ms[3] - lister.called_ms[1] >= 1_500


def test_a_clock_that_is_set_back_costs_no_hour() -> None:
    """Windows of the future that were used already do not count any more."""
    lister = Lister(frozenset({0}), 8)
    lister.call()
    lister.now_ms -= 3_600_000
    begun = lister.now_ms
    lister.call()
    assert lister.called_ms[-1] - begun <= 2_000


def test_who_has_no_slot_does_not_call() -> None:
    """A spare, and a worker that the group has not answered yet, leave listing to the others."""
    with pytest.raises(RetryableError, match="no slot"):
        Lister(frozenset(), 8).call()


def test_a_window_that_went_to_another_worker_is_not_used() -> None:
    """The slot is taken away while its owner waits for its window: it calls in one of those that it keeps."""
    lister = Lister(frozenset({3, 5}), 8)
    lister.call()
    moved: list[int] = []

    def sleep(ms: int) -> None:
        lister.now_ms += ms
        if not moved:
            moved.append(lister.now_ms)
            lister.budget.assign(frozenset({window(lister.called_ms[0])}), 8)

    lister.budget._sleep_ms = sleep
    lister.call()
    assert moved
    assert window(lister.called_ms[1]) == window(lister.called_ms[0])
    assert lister.called_ms[1] > moved[0]


def window(at_ms: int) -> int:
    """Which of eight slots' turn it is."""
    return int(at_ms // (1_000 / PER_SECOND)) % 8


class Watcher:
    """A worker's discovery, in its own time; the port ``Stream`` over a table with a thousand shards."""

    def __init__(self, own: frozenset[int], seed: int) -> None:
        self.lister, self.view = Lister(own, 8, seed=seed), View(8)
        self.view.own(own)
        clock = Clock(lambda: self.lister.now_ms, lambda: self.lister.now_ms, random.Random(seed).random)
        self.discovery = Discovery("orders", self, self.view, ProducerSettings(), clock)

    def give(self, own: frozenset[int]) -> None:
        """The group says which slots it has from now on."""
        self.lister.budget.assign(own, 8)
        self.view.own(own)

    def run_until(self, until_ms: int) -> None:
        """Discover until then."""
        while self.lister.now_ms < until_ms:
            wait = self.discovery.step()
            self.lister.now_ms += max(1, min(wait, 1_000))

    def status(self, _: str) -> StreamStatus:
        return StreamStatus("arn", enabled=True)

    def list_shards(self, stream: str) -> Listing:
        for _ in range(10):
            self.lister.call(3)
        return Listing(stream, {}, complete=True, at_ms=self.lister.now_ms)

    def children(self, stream: str, shard: str) -> Listing:
        self.lister.call(3)
        return Listing(stream, {f"{shard}-child": Shard(f"{shard}-child", shard)}, complete=False, at_ms=0)

    def iterator(self, *_: object) -> str:
        raise NotImplementedError

    def records(self, *_: object) -> Page:
        raise NotImplementedError


@pytest.mark.parametrize("seed", range(5))
def test_eight_workers_that_start_split_and_take_over_stay_below_the_limit(seed: int) -> None:
    """All start in one moment, every shard splits, one freezes and wakes up: no second holds more than ten calls."""
    workers = [Watcher(frozenset(), seed * 8 + number) for number in range(8)]

    def all_until(ms: int, but: int = -1) -> None:
        for number, worker in enumerate(workers):
            if number != but:
                worker.run_until(BEGIN_MS + ms)

    all_until(3_000)  # the group has not answered yet
    for number, worker in enumerate(workers):
        worker.give(frozenset({number}))
    all_until(30_000)
    for number, worker in enumerate(workers):
        for shard in range(20):
            worker.view.shard_ended("arn", f"{number}-{shard}")
    all_until(60_000)
    # worker 3 freezes; ten seconds later its slot is worker 4's
    all_until(70_000, but=3)
    workers[4].give(frozenset({3, 4}))
    all_until(90_000, but=3)
    # it wakes up, hears within a poll that it has nothing, and is given its slot back
    workers[3].lister.now_ms = BEGIN_MS + 90_000
    all_until(90_100)
    workers[3].give(frozenset())
    all_until(92_000)
    workers[4].give(frozenset({4}))
    workers[3].give(frozenset({3}))
    all_until(180_000)
    called = [at for worker in workers for at in worker.lister.called_ms]
    assert all(worker.lister.called_ms for worker in workers)
    assert len(called) >= 8 * (10 + 20 + 2 * 10)
    assert busiest_second(called) <= DESCRIBE_LIMIT_PER_SECOND


def test_each_page_and_each_follow_up_is_a_call() -> None:
    """The client asks before every DescribeStream, and only then."""
    asked: list[str] = []

    class Api:
        meta: Any = property(lambda self: self)
        events: Any = property(lambda self: self)

        def client(self, _: str) -> Api:
            return self

        def register(self, *_: Any, **__: Any) -> None: ...

        def describe_stream(self, **arguments: Any) -> dict[str, Any]:
            more = {"LastEvaluatedShardId": "s"} if "ExclusiveStartShardId" not in arguments else {}
            return {"StreamDescription": {"Shards": [], **more}}

        def get_records(self, **_: Any) -> dict[str, Any]:
            return {"Records": []}

    told: Callable[[], None] = lambda: asked.append("described")  # noqa: E731 (it is passed on as it is)
    streams = StreamClient(Api(), now_ms=lambda: 0, before_describe=told)  # type: ignore[arg-type]  # stands for AwsClients
    streams.list_shards("arn")
    assert len(asked) == 2
    streams.children("arn", "s")
    assert len(asked) == 3
    streams.records("token", 1)
    assert len(asked) == 3
