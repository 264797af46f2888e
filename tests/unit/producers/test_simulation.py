"""Whole workers over simulated streams and Kafka: a thousand seeds, each with its own faults."""

from __future__ import annotations

import logging

import pytest

from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import BrokenLawError

SEEDS, CHUNK = 1_000, 50


@pytest.fixture(autouse=True)
def quiet() -> None:
    """A simulation logs thousands of faults on purpose."""
    logging.getLogger("producers.stream").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_the_laws_hold(first: int) -> None:
    """Nothing lost, dense ordinals, per-key order, once, gap events iff data was trimmed, in every history."""
    broken = {}
    for seed in range(first, first + CHUNK):
        try:
            Simulation(seed).run()
        except BrokenLawError as error:
            broken[seed] = str(error)
    assert not broken, "repeat with: python -m tests.unit.producers.producer_simulation SEED"


def test_every_named_point_is_crashed_and_frozen_at() -> None:
    """The faults reach each named point of a worker's life, so that the laws above mean something."""
    reached: dict[str, int] = {}
    for seed in range(1, 200):
        simulation = Simulation(seed)
        simulation.run()
        for point, times in simulation.points.items():
            reached[point] = reached.get(point, 0) + times
    points = ("before init", "after init", "reading back", "before commit", "after commit", "discovering")
    assert {p: n for p in points for n in [reached.get(f"crash {p}", 0)] if n < 5} == {}
    assert {p: n for p in points for n in [reached.get(f"freeze {p}", 0)] if n < 5} == {}


def test_a_seed_repeats_itself() -> None:
    """The same seed gives the same history, byte for byte: a failure can be looked at again."""
    first, second = Simulation(77), Simulation(77)
    first.run()
    second.run()
    assert first.clock.passed_ms == second.clock.passed_ms
    assert first.kafka.logs == second.kafka.logs
