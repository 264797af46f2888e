"""Who publishes under which epoch while a snapshot raises it."""

from __future__ import annotations

from dataclasses import replace

from connectors.dynamodb_streams import Shard
from feed.testing.simulator import Faults
from producers.stream.slot import Slot
from producers.stream.survey import lineage_epoch, may_read, survey
from schemas.control import ControlKind
from schemas.position import Baseline, Position, ShardState, SlotRecord
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import SimulatedWorker
from tests.unit.producers.test_survey import ARN, NEXT_ARN, positions, scene, seen_at, told


def test_slot_0_raises_the_epoch_once() -> None:
    """A request above the baseline's epoch raises it and nothing else; the same request again does nothing."""
    before = Baseline(ARN, 1, 5, shards={"a": ""}, gone=("z",))
    (raised,) = survey(scene(baseline=before, requested_epoch=4))
    assert raised.baseline == replace(before, epoch=4)
    again = scene(baseline=raised.baseline, record=SlotRecord(4, ARN, 0), requested_epoch=4)
    assert [s for s in survey(again) if s.baseline] == []


def test_a_slot_takes_the_raised_epoch_without_telling_shards_again() -> None:
    """Its record and the control event, and no second start of a shard whose position is retired by now."""
    seen = {ARN: seen_at(5, Shard("b", "a"))}
    own = {"b": Position("b", ARN, ShardState.READING)}
    raised = scene(baseline=Baseline(ARN, 4, 5, shards={"a": "", "b": "a"}), own=own, sightings=seen)
    statements = survey(raised)
    assert told(statements) == [ControlKind.EPOCH]
    assert [s.record for s in statements] == [SlotRecord(4, ARN, 0)]
    assert positions(statements) == {}


def test_a_slot_that_hears_late_writes_nothing() -> None:
    """What its own record says is newer than the baseline that it has heard of: the record must not go back."""
    late = scene(baseline=Baseline(ARN, 1, 0), record=SlotRecord(4, ARN, 0), sightings={ARN: seen_at(10**9)})
    assert survey(late) == []


def test_a_slot_publishes_under_its_own_record() -> None:
    """After a take-over the view is late: the record that was read back decides, not the baseline that was heard."""
    simulation = Simulation(1)
    worker = SimulatedWorker(simulation, "w")
    worker.view.baseline = Baseline(ARN, 1, 0)
    log = simulation.kafka.client(Faults(lambda _: None)).take(1)
    entries = [(b"@slot", SlotRecord(3, ARN, 0).to_json())]
    assert Slot(1, worker.environment, log, entries, lambda: None).epoch == 3


def test_a_child_never_goes_out_below_its_ancestors() -> None:
    """Slots raise the epoch one after another: a shard takes the highest of those before it, past a lost one too."""
    known = {
        "a": Position("a", ARN, ShardState.FINISHED, epoch=3),
        "b": Position("b", ARN, ShardState.GAP, epoch=2, parent="a"),
        "c": Position("c", ARN, epoch=2, parent="b"),
    }
    assert lineage_epoch(known["c"], known.get) == 3
    assert lineage_epoch(known["a"], known.get) == 3


def test_a_raised_epoch_holds_no_shard_back() -> None:
    """After a change of stream the new one is read once all slots are past the former one, whatever epoch they have."""
    baseline = Baseline(NEXT_ARN, 5, 0, after=ARN)
    position = Position("n", NEXT_ARN)
    past = {0: SlotRecord(5, NEXT_ARN, 0), 1: SlotRecord(2, NEXT_ARN, 0)}
    assert may_read(position, lambda _: None, baseline, past, 2)
    assert not may_read(position, lambda _: None, baseline, {**past, 1: SlotRecord(2, ARN, 0)}, 2)
