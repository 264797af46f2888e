"""DescribeStream calls of all workers together stay below what AWS allows an account."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.dynamodb_streams import DESCRIBE_LIMIT_PER_SECOND, CallBudget, StreamClient
from feed.testing.simulator import SimulatedClock, SimulatedStreams

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
    seed=st.integers(0, 1_000),
)
def test_all_workers_together_stay_below_the_limit(
    slots: int, workers: int, took_ms: int, skews_ms: list[int], seed: int
) -> None:
    """However many list 2,000 shards (20 pages) at once: after each one's first call never more than AWS allows."""
    found = listers(slots, min(workers, slots), seed, skews_ms)
    for lister in found:
        for _ in range(20):
            lister.call(took_ms)
    assert busiest_second([at for lister in found for at in lister.called_ms[1:]]) <= DESCRIBE_LIMIT_PER_SECOND


def test_the_simulated_service_never_throttles_them() -> None:
    """Eight workers list 2,000 shards at once, from a service that refuses the eleventh call of a second.

    Their first calls, which wait for nothing, are left out.
    """
    found = listers(8, 8, 3, [0] * 8)
    for lister in found:
        for _ in range(20):
            lister.call(5)
    clock = SimulatedClock()
    streams = SimulatedStreams(clock, random.Random(1))
    arn, streams.rates.describes_per_second = streams.enable(), DESCRIBE_LIMIT_PER_SECOND
    called_ms = sorted(at for lister in found for at in lister.called_ms[1:])
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


def test_a_worker_alone_lists_nearly_as_fast_as_the_feed_may() -> None:
    """2,000 shards, 20 pages at 8 a second, one window in nine being the spares'."""
    lister = Lister(frozenset(range(8)), 8)
    for _ in range(20):
        lister.call()
    assert 2_000 <= lister.called_ms[-1] - BEGIN_MS <= 3_200


def test_the_first_call_waits_for_nothing_and_nothing_is_saved_up() -> None:
    """A worker that starts knows its stream at once; after an hour without a call there is one, not many."""
    lister = Lister(frozenset(), 8)
    lister.call()
    assert lister.called_ms == [BEGIN_MS]
    lister.now_ms += 3_600_000
    for _ in range(3):
        lister.call()
    assert lister.called_ms[3] - lister.called_ms[1] >= 1_000


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
