"""Whole workers with a filter at the source, over the same faults: the laws hold for what passes it, and only that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from producers.stream import Condition, FilterSettings
from producers.stream.filter import Dropped, filter_of
from tests.unit.producers import producer_simulation
from tests.unit.producers.producer_laws import Laws
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import BrokenLawError, SimulatedWorker

SEEDS, FIRST, CHUNK = 200, 20_001, 50
FILTERS = (
    FilterSettings(where=Condition(none=(Condition(attribute="revision", one_of=(2, 3, 6, 7, 13)),))),
    FilterSettings(where=Condition(attribute="id", one_of=("k0", "k3"))),
    FilterSettings(ops=("c", "d"), ttl_deletes="drop"),
    FilterSettings(where=Condition(attribute="id", starts_with="nobody")),
)
"""Some changes of each key, some keys, some ops, and nothing at all."""


class FilteredSimulation(Simulation):
    """One seed with a filter; it knows what the filter must leave out."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.filter = FILTERS[seed % len(FILTERS)]
        self.drops = filter_of(self.filter, region_attribute=None)
        self.dropped: dict[int, Dropped] = {}
        original = self.streams._record

        def record(key: str, name: str, images: Mapping[str, Any], revision: int, *, ttl: bool) -> None:
            original(key, name, images, revision, ttl=ttl)
            identity = {"userIdentity": {"PrincipalId": "dynamodb.amazonaws.com"}} if ttl else {}
            assert self.drops is not None
            if (reason := self.drops({"eventName": name, "dynamodb": dict(images), **identity})) is not None:
                self.dropped[self.streams.written[-1][1]] = reason

        self.streams._record = record  # type: ignore[method-assign]  # it only listens

    def _start(self) -> SimulatedWorker:
        worker = super()._start()
        worker.environment = replace(worker.environment, drops=self.drops)
        return worker

    def _unsettled(self) -> list[str]:
        """The end of what is dropped shows in the positions."""
        positions = self.positions()
        left = []
        for line in super()._unsettled():
            number, of, _ = line.partition(" of ")
            if not (of and number.isdigit() and int(number) in self.dropped):
                left.append(line)
        begun = self.baselines()
        for shard, sequence, _, _ in self.streams.written:
            if (
                sequence in self.dropped
                and sequence not in self.streams.trimmed
                and self.promised(shard, sequence, begun)
            ):
                saved = positions.get(shard)
                if saved is None or (saved.sequence or 0) < sequence:
                    left.append(f"{sequence} of {shard} is not behind the position")
        return left


class FilteredLaws(Laws):
    """The laws, for what passes the filter."""

    def check(self) -> None:
        """All laws, and that nothing passed which should not."""
        simulation = self.simulation
        assert isinstance(simulation, FilteredSimulation)
        published = {facts.sequence for facts, _ in self.changes} | set(simulation.refused())
        if wrong := published & simulation.dropped.keys():
            raise BrokenLawError(f"published though the filter drops it: {wrong}")
        streams = simulation.streams
        streams.written = [entry for entry in streams.written if entry[1] not in simulation.dropped]
        super().check()

    def stands_at(self, position: int, committed: int) -> bool:
        """What is dropped moves the position too: it may be behind the last change that passed, never before it."""
        return position >= committed


@pytest.fixture(autouse=True)
def filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation judges by the laws of a filtered feed, and is quiet."""
    monkeypatch.setattr(producer_simulation, "Laws", FilteredLaws)
    logging.getLogger("producers.stream").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_the_laws_hold_for_what_passes_the_filter(first: int) -> None:
    """Crashes, freezes, aborts, trims: dense ordinals, order, once, nothing of what passes lost, positions move on."""
    broken = {}
    dropped: Counter[Dropped] = Counter()
    for seed in range(first, first + CHUNK):
        simulation = FilteredSimulation(seed)
        try:
            simulation.run()
        except BrokenLawError as error:
            broken[seed] = str(error)
        dropped.update(simulation.dropped.values())
    assert not broken
    assert {Dropped.CONDITION, Dropped.OP, Dropped.TTL} <= dropped.keys()


def test_a_filter_that_counts_what_it_drops_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws have teeth: ordinals with holes where something was dropped are seen."""
    from producers.stream import batch  # noqa: PLC0415 - planted here only

    original = batch._reached

    def reached(page: Any, position: Any, sequence: int, ordinal: int, context: Any) -> Any:
        dropped = sum(1 for one in page.records if context.drops is not None and context.drops(one) is not None)
        return original(page, position, sequence, ordinal + dropped, context)

    monkeypatch.setattr(batch, "_reached", reached)
    caught = 0
    for seed in range(FIRST, FIRST + 8):
        try:
            FilteredSimulation(seed).run()
        except BrokenLawError:
            caught += 1
    assert caught
