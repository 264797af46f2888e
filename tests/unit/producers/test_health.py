"""Health means progress: what runs but does not move is red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.dynamodb_streams import Page
from connectors.telemetry import Telemetry
from producers.stream.health import Progress, judge
from producers.stream.metrics import Families, Metrics
from producers.stream.owner import OwnerState
from producers.stream.reader import Answer, ShardReader
from schemas.errors import RetryableError
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import Plan, SimulatedWorker


@pytest.fixture
def worker() -> SimulatedWorker:
    """A worker that runs and has read what there was."""
    plan = Plan(slots=1, workers=1, keys=2, ticks=0, crash=0, freeze=0, outage=0)
    simulation = Simulation(1, plan=plan)
    simulation.quiet = True
    simulation.streams.enable()
    started = simulation._start()
    simulation.streams.write("k0")
    for _ in range(200):
        simulation._tick(250)
    assert len(simulation.changes()) == 1
    return started


def judged(worker: SimulatedWorker, progress: Progress | None = None) -> Telemetry:
    telemetry = Telemetry("test")
    judge(
        telemetry,
        worker.environment,
        owners=worker.owners,
        discovery=worker.discovery,
        started_ms=0,
        joined=True,
        progress=progress or Progress(),
    )
    return telemetry


def red(worker: SimulatedWorker) -> set[str]:
    return {name for name, check in judged(worker).health.read().items() if not check.ok}


def reader_of(worker: SimulatedWorker) -> ShardReader:
    slot = worker.owners[0].slot
    assert slot is not None
    (reader,) = slot.readers.values()
    return reader


def test_a_worker_that_moves_is_green_and_ready(worker: SimulatedWorker) -> None:
    """An idle stream is no fault."""
    assert red(worker) == set()
    assert judged(worker).answer("/readyz")[0] == 200


def test_a_shard_that_answers_only_errors_is_red(worker: SimulatedWorker) -> None:
    """Retrying for ever is not progress."""
    reader, clock = reader_of(worker), worker.simulation.clock
    for _ in range(40):
        clock.advance(1_000)
        reader.busy = True
        reader.take(Answer(reader.shard, reader._turn, clock.now_ms(), None, RetryableError("no", hint=""), False))
    assert red(worker) == {"shards"}
    reader.take(Answer(reader.shard, reader._turn, clock.now_ms(), Page([], "next", 0), None, False))
    assert red(worker) == set()


def test_a_read_that_never_answers_is_red(worker: SimulatedWorker) -> None:
    """A call that hangs holds its shard."""
    reader = reader_of(worker)
    reader.job(lambda _: None)
    worker.simulation.clock.advance(31_000)
    assert red(worker) == {"shards"}


def test_a_slot_that_holds_pages_and_commits_nothing_is_red(worker: SimulatedWorker) -> None:
    """Kafka away for long shows, whatever the reader says."""
    simulation = worker.simulation
    simulation.kafka.down = True
    simulation._outage_until = simulation.clock.steady_ms() + 10**9
    for _ in range(16):
        simulation.streams.write("k1")
        simulation._tick(5_000)
    assert "shards" in red(worker)


def test_a_slot_that_is_assigned_but_does_not_run_is_red(worker: SimulatedWorker) -> None:
    """An orphaned slot is seen."""
    worker.owners[0].state = OwnerState.TAKING
    worker.owners[0].stalled_since_ms = 0
    assert red(worker) == {"slots"}
    assert judged(worker).answer("/readyz")[0] == 503


def test_a_slot_that_is_lost_again_and_again_is_red(worker: SimulatedWorker) -> None:
    """Taking a slot is not progress; committing is."""
    simulation = worker.simulation
    simulation.kafka.rates.lost = 1.0
    for _ in range(60):
        simulation.streams.write("k1")
        simulation._tick(1_000)
    assert "slots" in red(worker)
    simulation.kafka.rates.lost = 0.0
    for _ in range(20):
        simulation._tick(1_000)
    assert red(worker) == set()


def test_discovery_that_never_completes_is_red(worker: SimulatedWorker) -> None:
    """Without complete listings new shards stay unseen."""
    simulation = worker.simulation
    simulation.streams.roll(*simulation.streams.open_shards())
    simulation.streams.rates.shards_page, simulation.streams.rates.partial_listing = 1, 1.0
    for _ in range(30):
        simulation._tick(3_000)
    assert red(worker) == {"discovery"}


def test_a_disabled_stream_is_red(worker: SimulatedWorker) -> None:
    """Nothing comes any more, and everything that came is published: quiet, but not well."""
    worker.simulation.streams.disable()
    for _ in range(20):
        worker.simulation._tick(3_000)
    assert "stream" in red(worker)


def test_lag_is_measured_on_an_idle_stream_too(worker: SimulatedWorker) -> None:
    """At the tip a shard is 0 seconds behind, however old its last record is."""
    worker.simulation.clock.advance(3_600_000)
    registry: Any = Telemetry("lag").registry
    object.__setattr__(worker.environment, "metrics", Metrics(Families(registry), "orders"))
    judged(worker)
    shard = reader_of(worker).shard
    assert (
        registry.get_sample_value("feed_producer_seconds_behind", {"feed": "orders", "slot": "0", "shard": shard}) == 0
    )
    reader_of(worker).newest_ms = worker.simulation.clock.now_ms() - 5_000
    judged(worker)
    assert (
        registry.get_sample_value("feed_producer_seconds_behind", {"feed": "orders", "slot": "0", "shard": shard}) == 5
    )


def test_a_shard_with_data_that_makes_no_progress_is_red(worker: SimulatedWorker) -> None:
    """It answers with records again and again, and its position stands still; one that moves or is idle is green."""
    progress, reader, clock = Progress(), reader_of(worker), worker.simulation.clock
    slot = worker.owners[0].slot
    assert slot is not None

    def red_now(passed_ms: int) -> set[str]:
        clock.advance(passed_ms)
        checks = judged(worker, progress).health.read()
        return {name for name, check in checks.items() if not check.ok} & {"progress"}

    assert red_now(0) == set()
    assert red_now(60_000) == set(), "at the tip it stands still rightly"
    reader.newest_ms = clock.now_ms()
    assert red_now(0) == set()
    assert red_now(29_000) == set()
    assert red_now(2_000) == {"progress"}
    position = slot.positions[reader.shard]
    slot.positions[reader.shard] = replace(position, sequence=(position.sequence or 0) + 1)
    assert red_now(1_000) == set()


def test_a_worker_is_not_ready_before_the_group_has_answered(worker: SimulatedWorker) -> None:
    """A feed that runs already is known at once, from its positions; the slots are not."""
    telemetry = Telemetry("test")
    judge(
        telemetry,
        worker.environment,
        owners={},
        discovery=worker.discovery,
        started_ms=0,
        joined=False,
        progress=Progress(),
    )
    assert telemetry.answer("/readyz")[0] == 503
    assert b"no slot is assigned yet" in telemetry.answer("/readyz")[2]
