"""Bugs that cost time, calls or sight instead of changes, planted again: each breaks a rule that holds without it.

The numbers are those of the list of bugs in docs/testing.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from connectors.dynamodb_streams import Listing, Pace, Page, PollPolicy
from feed.testing.simulator import SimulatedClock, SimulatedStreams
from producers.stream import Clock, ProducerSettings, health, reader
from producers.stream.discovery import Discovery
from producers.stream.reader import Answer, ShardReader
from producers.stream.slot import Slot
from producers.stream.view import View
from schemas.errors import RetryableError
from schemas.position import Position, ShardState
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import Plan, SimulatedWorker
from tests.unit.producers.test_health import judged

Patch = Any
MINUTE_MS = 60_000


def running(shards: int = 1) -> SimulatedWorker:
    """A worker that reads so many open shards, at their tips."""
    plan = Plan(slots=1, workers=1, keys=2, ticks=0, crash=0, freeze=0, outage=0)
    simulation = Simulation(1, plan=plan)
    simulation.quiet = True
    simulation.streams.enable(shards)
    worker = simulation._start()
    for _ in range(100):
        simulation._tick(250)
    return worker


class Table:
    """A table with one shard and its reader, which is asked when it is due."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.streams = SimulatedStreams(self.clock, random.Random(1))
        arn = self.streams.enable()
        (shard,) = self.streams.open_shards()
        ports = Clock(self.clock.now_ms, self.clock.steady_ms, lambda: 0.0)
        self.reader = ShardReader(Position(shard.id, arn, ShardState.READING), self.streams, PollPolicy(), ports)

    def read(self) -> list[str]:
        """The next answer's records, by name, once they are due."""
        self.clock.advance(max(0, self.reader.due_ms - self.clock.steady_ms()))
        answers: list[Answer] = []
        self.reader.job(answers.append)()
        page = self.reader.take(answers[0])
        return [record["eventName"] for record in page.records] if page else []


def reader_of(worker: SimulatedWorker) -> ShardReader:
    slot = worker.owners[0].slot
    assert slot is not None
    return next(iter(slot.readers.values()))


# --- the rules


def a_dead_shard_is_red() -> None:
    """A process that is alive while a shard answers only errors is not healthy."""
    worker = running()
    one, clock = reader_of(worker), worker.simulation.clock
    for _ in range(40):
        clock.advance(1_000)
        one.busy = True
        one.take(Answer(one.shard, one._turn, clock.now_ms(), None, RetryableError("no", hint=""), False))
    assert not judged(worker).health.read()["shards"].ok


def what_was_listed_is_used() -> None:
    """Of hundreds of shards a page always fails: those before it are known all the same."""
    clock, chance = SimulatedClock(), random.Random(1)
    streams = SimulatedStreams(clock, chance)
    streams.enable(300)
    pages = {"shown": 0}
    describe = streams.describe

    def failing(stream: str, after: str, limit: int, parent: str = "") -> Any:
        pages["shown"] += 1
        if after:
            raise RetryableError("every later page fails", hint="")
        return describe(stream, after, limit, parent)

    streams.describe = failing  # type: ignore[method-assign]  # the test's own server
    view = View(1)
    view.own(frozenset({0}))
    ports = Clock(clock.now_ms, clock.steady_ms, chance.random)
    discovery = Discovery("orders", streams, view, ProducerSettings(), ports)
    for _ in range(5):
        clock.advance(discovery.step() + 1)
    assert [len(seen.shards) for seen in view.sightings.values()] == [100]


def a_backlog_is_read_at_the_servers_pace() -> None:
    """Old records are asked for without a pause, page by page."""
    table = Table()
    for number in range(3_000):
        table.streams.write(f"k{number}")
    table.clock.advance(MINUTE_MS)
    begun, read = table.clock.steady_ms(), 0
    while read < 3_000:
        read += len(table.read())
    assert table.clock.steady_ms() == begun


def a_backlog_is_committed_as_it_is_read() -> None:
    """The pause between two commits is for the tip: a slot that is behind does not sit on its pages."""
    worker = running()
    streams, settings = worker.simulation.streams, worker.environment.settings
    settings.__dict__["batch_interval_ms"] = MINUTE_MS  # the settings are frozen, and in use already
    worker.simulation._tick(2 * MINUTE_MS)
    for number in range(5):
        for _ in range(1_000):
            streams.write(f"k{number}")
        worker.simulation._tick(200)
    worker.simulation.clock.advance(10_000)
    for _ in range(60):
        worker.simulation._tick(200)
    assert len(worker.simulation.changes()) + len(worker.simulation.refused()) == 5_000


def an_idle_shard_costs_few_calls() -> None:
    """Four calls a second while it may say something, one while it has said nothing for long."""
    table, calls = Table(), 0
    until = table.clock.steady_ms() + MINUTE_MS
    while table.clock.steady_ms() < until:
        table.read()
        calls += 1
    assert calls <= 70


def thousands_of_idle_shards_share_a_budget() -> None:
    """Their calls together stay near what is set, whatever their number."""
    worker = running(shards=500)
    simulation = worker.simulation
    for _ in range(60):
        simulation._tick(250)
    calls = {"made": 0}
    original = simulation.streams.records

    def records(token: str, limit: int) -> Page:
        calls["made"] += 1
        return original(token, limit)

    simulation.streams.records = records  # type: ignore[method-assign]  # counts
    for _ in range(40):
        simulation._tick(250)
    assert calls["made"] <= 10 * 1.3 * worker.environment.settings.idle_calls_per_second


def an_idle_stream_is_not_behind() -> None:
    """At the tip the lag is zero, however long ago the last record was."""
    worker = running()
    worker.simulation.streams.write("k0")
    for _ in range(40):
        worker.simulation._tick(1_000)
    slot = worker.owners[0].slot
    assert slot is not None
    assert set(health._ages_s(slot, worker.simulation.clock.now_ms()).values()) == {0.0}


def a_reader_that_waited_goes_on() -> None:
    """An iterator that expired while nobody asked is replaced, after what was read."""
    table = Table()
    table.streams.write("a")
    found = table.read()
    table.clock.advance(20 * MINUTE_MS)
    table.streams.write("a")
    for _ in range(6):
        found += table.read()
    assert found == ["INSERT", "MODIFY"]


# --- the bugs


def alive_is_healthy(patch: Patch) -> None:
    """13: ready, and nothing moves for days."""
    patch.setattr(ShardReader, "stuck", lambda *_: False)


def a_listing_is_whole_or_nothing(patch: Patch) -> None:
    """14: one failed call throws away the whole discovery."""
    original = SimulatedStreams.list_shards

    def list_shards(self: SimulatedStreams, stream: str) -> Listing:
        listing = original(self, stream)
        if not listing.complete:
            raise RetryableError("a page failed", hint="")
        return listing

    patch.setattr(SimulatedStreams, "list_shards", list_shards)


def every_page_waits(patch: Patch) -> None:
    """24: the poll interval caps what can be read."""
    patch.setattr(reader, "after_page", lambda policy, *_, **__: Pace(0, 0, policy.interval_ms))


def every_commit_waits(patch: Patch) -> None:
    """24: the interval between commits caps what can be published."""
    patch.setattr(Slot, "_hurries", lambda _: False)


def idle_shards_are_asked_as_busy_ones(patch: Patch) -> None:
    """24: a shard that says nothing costs as many calls."""
    patch.setattr(reader, "after_page", lambda policy, *_, **__: Pace(0, 0, policy.interval_ms))


def idle_shards_know_nothing_of_each_other(patch: Patch) -> None:
    """24: calls grow with the number of shards."""
    patch.setattr(Slot, "_idle_interval_ms", lambda _: 0)


def lag_is_the_age_of_the_last_record(patch: Patch) -> None:
    """25: on a quiet stream the lag grows and says nothing."""
    original = ShardReader.take

    def take(self: ShardReader, answer: Answer) -> Page | None:
        before = self.newest_ms
        page = original(self, answer)
        if page is not None and page.records:
            self.newest_ms = reader.occurred_at_ms_of(page.records[-1])
        elif before is not None:
            self.newest_ms = before
        return page

    patch.setattr(ShardReader, "take", take)


def an_unused_iterator_is_kept(patch: Patch) -> None:
    """4, 23: an iterator that expired while the reader waited is used again for ever."""
    original = ShardReader._failed

    def failed(self: ShardReader, answer: Answer, now: int) -> None:
        token = self._token
        original(self, answer, now)
        self._token = token

    patch.setattr(ShardReader, "_failed", failed)


PLANTED: list[tuple[Callable[[Patch], None], Callable[[], None]]] = [
    (alive_is_healthy, a_dead_shard_is_red),
    (a_listing_is_whole_or_nothing, what_was_listed_is_used),
    (every_page_waits, a_backlog_is_read_at_the_servers_pace),
    (every_commit_waits, a_backlog_is_committed_as_it_is_read),
    (idle_shards_are_asked_as_busy_ones, an_idle_shard_costs_few_calls),
    (idle_shards_know_nothing_of_each_other, thousands_of_idle_shards_share_a_budget),
    (lag_is_the_age_of_the_last_record, an_idle_stream_is_not_behind),
    (an_unused_iterator_is_kept, a_reader_that_waited_goes_on),
]


@pytest.mark.parametrize("plant,rule", PLANTED, ids=lambda part: part.__name__)
def test_a_planted_bug_breaks_its_rule(
    plant: Callable[[Patch], None], rule: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule holds, and with the bug planted it does not."""
    rule()
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        rule()
