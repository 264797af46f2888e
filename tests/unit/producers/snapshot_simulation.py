"""Snapshots beside simulated workers: after every gap by themselves, now and then by a person; killed at any moment.

``python -m tests.unit.producers.snapshot_simulation 77 1-500`` repeats seeds and prints what went wrong.
"""

from __future__ import annotations

import logging
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from feed.testing.simulator import CrashedError, Faults, item_of
from feed.testing.simulator.kafka import SimulatedFollower, SimulatedLog, SimulatedSlotLog, _Id
from producers.snapshot import Parts, ReplacedError, Resnapshot, RowContext, SnapshotRun, SnapshotSettings, Stage
from producers.snapshot.parts import NotAdoptedError
from producers.snapshot.resnapshot import reason_after_gap
from producers.snapshot.scan import Item, ScanPage
from producers.stream import Clock, FeedSource
from producers.stream.view import View
from schemas.control import ControlEvent, ControlKind
from schemas.errors import RetryableError
from schemas.headers import Facts, facts_of
from schemas.marker import SnapshotMarker, marker_of
from schemas.snapshot import SnapshotState
from schemas.version import Version, end_of_epoch_before
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import POISON, BrokenLawError, PlainCodec, SimulatedWorker

SETTINGS = SnapshotSettings(segments=2, page_items=2, takeover_after_ms=5_000, slots_timeout_ms=60_000)
TOPIC = "orders.snapshot"


@dataclass(slots=True)
class SimulatedSnapshotLog(SimulatedLog):
    """The port ``Log`` of a run: one slot, in the snapshot topic, under the snapshot's own id."""

    def take(self, slot: int) -> SimulatedSlotLog:
        """Fence any other run."""
        self.faults.at("before init")
        kafka = self.kafka
        if kafka.down or kafka.random.random() < kafka.rates.refuse:
            raise RetryableError("simulated: the coordinator is away", hint="simulated")
        transaction = kafka.ids.setdefault(TOPIC, _Id())
        kafka.end(transaction, "aborted")
        transaction.epoch += 1
        log = SnapshotSlotLog(kafka, self.faults, slot, transaction, transaction.epoch)
        self.faults.at("after init")
        return log

    def read_back(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """The topic up to its end, save for slots' notes that are not decided yet."""
        self.faults.at("reading back")
        if self.kafka.down:
            raise RetryableError("simulated: the broker is away", hint="simulated")
        entries, _ = self.kafka.committed(TOPIC, slot)
        if any(entry.state == "open" for entry in self.kafka.logs[TOPIC, slot]):
            raise RetryableError("simulated: an open transaction below the high watermark", hint="simulated")
        return list({entry.key or b"": entry.value for entry in entries}.items())


class SnapshotSlotLog(SimulatedSlotLog):
    """The port ``SlotLog`` of a run."""

    def save(self, key: bytes, value: bytes | None, timestamp_ms: int) -> None:
        """Append to the snapshot topic."""
        self.publish(TOPIC, key, value, (), timestamp_ms, partition=0)


class SimulatedTable:
    """The simulated table, scanned in segments by a hash of the key."""

    def __init__(self, simulation: SnapshotSimulation) -> None:
        self._simulation = simulation

    def page(self, segment: int, segments: int, after: Item | None, limit: int) -> ScanPage:
        """The port ``Table``."""
        simulation = self._simulation
        if simulation.rng.random() < simulation.plan.rates.throttled:
            raise RetryableError("simulated: throttled", hint="simulated")
        items = simulation.streams.items
        places = sorted((zlib.crc32(key.encode()), key) for key in items)
        mine = [place for place in places if place[0] % segments == segment]
        if after is not None:
            last = after["id"]["S"]
            mine = [place for place in mine if place > (zlib.crc32(last.encode()), last)]
        page = mine[:limit]
        more = len(mine) > limit or (bool(page) and simulation.rng.random() < 0.2)
        found = tuple(item_of(key, items[key]) for _, key in page)
        return ScanPage(found, {"id": {"S": page[-1][1]}} if page and more else None, 1.0)


def parts_of(simulation: SnapshotSimulation, faults: Faults, view: View, pool: object, name: str) -> Parts:
    """What a run works with."""
    clock = Clock(simulation.clock.now_ms, simulation.clock.steady_ms, simulation.rng.random)
    context = RowContext(FeedSource("orders", "orders", "eu-west-1"), PlainCodec(), ("id",), 10**6)
    log = SimulatedSnapshotLog(simulation.kafka, faults)
    positions = simulation.kafka.client(faults)
    table = SimulatedTable(simulation)
    return Parts(SETTINGS, log, positions, view, table, pool, clock, context, 3, name)  # type: ignore[arg-type]


class SnapshotWorker(SimulatedWorker):
    """A worker that scans beside slot 0."""

    def __init__(self, simulation: SnapshotSimulation, name: str) -> None:
        super().__init__(simulation, name)
        self._runs = 0
        self._companion: Resnapshot | None = None
        self._sim = simulation

    def tick(self) -> None:
        """The worker's parts, and what runs beside slot 0."""
        super().tick()
        if 0 in self.assigned and self._companion is None:
            self._companion = Resnapshot(
                self.view,
                self.environment.clock,
                self._make,
                takeover_after_ms=SETTINGS.takeover_after_ms,
                tell=lambda _: None,
            )
        elif 0 not in self.assigned and self._companion is not None:
            self._companion.stop()
            self._companion = None
        if self._companion is not None:
            self._companion.step()

    def _make(self) -> SnapshotRun:
        self._runs += 1
        name = f"{self.name}-{self._runs}"
        parts = parts_of(self._sim, self.faults, self.view, self, name)
        return SnapshotRun(parts, reason_after_gap, lambda: None)

    def stop(self) -> None:
        """Leave gracefully."""
        if self._companion is not None:
            self._companion.stop()
        super().stop()


class Command:
    """``feed snapshot``, run by a person."""

    def __init__(self, simulation: SnapshotSimulation, name: str) -> None:
        self._simulation, self.jobs = simulation, list[Callable[[], None]]()
        faults = Faults(partial(simulation.interfere_command))
        self.view = View(simulation.plan.slots)
        self._follower = SimulatedFollower(simulation.kafka)
        self.run = SnapshotRun(parts_of(simulation, faults, self.view, self, name), lambda _: "asked", lambda: None)

    def submit(self, job: Callable[[], None]) -> None:
        """The port ``Pool``."""
        self.jobs.append(job)

    def tick(self) -> bool:
        """Go on; True when it has ended."""
        if entries := self._follower.poll(0):
            self.view.follow(entries)
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()
        try:
            self.run.step()
        except (ReplacedError, NotAdoptedError):
            return True
        return self.run.stage is Stage.DONE


class SnapshotSimulation(Simulation):
    """One seed, with snapshots."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, limit=3_000)
        self.settings = self.settings.model_copy(update={"gap_policy": "resnapshot"})
        self.command: Command | None = None
        self.asked = 0

    def _start(self) -> SnapshotWorker:
        self._names += 1
        worker = SnapshotWorker(self, f"w{self._names}")
        self.workers.append(worker)
        return worker

    def _tick(self, ms: int) -> None:
        super()._tick(ms)
        if self.command is None and not self.quiet and self.rng.random() < 0.02:
            self.asked += 1
            self.command = Command(self, f"c{self.asked}")
        if self.command is None or self.rng.random() < 0.3:
            return
        command, self.command = self.command, None
        try:
            if not command.tick() and (self.quiet or self.rng.random() > 0.01):
                self.command = command
        except CrashedError:
            self.points["crash command"] += 1

    def interfere_command(self, point: str) -> None:
        """The command is at a named point."""
        if not self.quiet and self.rng.random() < max(self.plan.crash, 0.02):
            raise CrashedError(point)

    def snapshot_state(self) -> SnapshotState:
        """What the snapshot topic says."""
        state = SnapshotState()
        for entry in self.kafka.committed(TOPIC, 0)[0]:
            state = state.apply(entry.key or b"", entry.value)
        return state

    def _unsettled(self) -> list[str]:
        state = self.snapshot_state()
        waits = [f"snapshot {state.pending.epoch} is under way"] if state.pending else []
        return super()._unsettled() + waits + (["a snapshot is due"] if state.due else [])

    def records(self) -> list[list[tuple[Facts, str] | SnapshotMarker]]:
        """Rows, changes and markers, partition by partition, in order."""
        found = []
        for partition in range(3):
            entries, _ = self.kafka.committed("orders", partition)
            found.append([read(entry.key, entry.value, list(entry.headers)) for entry in entries])
        return found

    def changes(self) -> list[tuple[Facts, str]]:
        """Changes of the stream alone."""
        flat = [record for partition in self.records() for record in partition]
        return [record for record in flat if isinstance(record, tuple) and record[0].sequence]

    def refused(self) -> list[int]:
        """Of the stream alone."""
        return [sequence for sequence in super().refused() if sequence]

    def run(self) -> None:
        """The plan, then quiet until all is published and no snapshot is due, then the laws."""
        super().run()
        SnapshotLaws(self).check()

    def control(self) -> list[ControlEvent]:
        """Of the stream alone."""
        return [event for event in super().control() if not is_snapshots(event)]

    def snapshot_control(self) -> list[ControlEvent]:
        """Of snapshots alone."""
        return [event for event in super().control() if is_snapshots(event)]


def is_snapshots(event: ControlEvent) -> bool:
    """Whether a control event is about a snapshot."""
    return event.shard.startswith("snapshot-") or event.kind is ControlKind.SNAPSHOT_COMPLETE


def read(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> tuple[Facts, str] | SnapshotMarker:
    """A record as a change or a row with its text, or as a marker."""
    marker = marker_of(key, value, headers)
    return marker if marker is not None else (facts_of(headers), (value or b"").decode())


class Sink:
    """What every sink does: the newest version wins, the end of a snapshot removes what it did not see."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Version, int]] = {}
        """Key → version, and revision (0: deleted)."""

    def take(self, record: tuple[Facts, str] | SnapshotMarker) -> None:
        """One record of a partition."""
        if isinstance(record, SnapshotMarker):
            for key, (version, revision) in self.known.items():
                if revision and version < Version(record.epoch, 0):
                    self.known[key] = (end_of_epoch_before(record.epoch), 0)
            return
        facts, text = record
        version = self.known.get(facts.subject, (Version(0, 0), 0))[0]
        if facts.version > version:
            self.known[facts.subject] = (facts.version, max(0, int(text.split("/", maxsplit=1)[0])))


class SnapshotLaws:
    """What must hold of snapshots at the end of every simulation."""

    def __init__(self, simulation: SnapshotSimulation) -> None:
        self.simulation = simulation
        self.records = simulation.records()
        self.state = simulation.snapshot_state()

    def check(self) -> None:
        """All laws."""
        self.rows_once()
        self.markers()
        self.epochs()
        self.convergence()

    def rows_once(self) -> None:
        """Dense and unique ordinals in each segment, dead letters among them, up to the one that its end tells."""
        flat = [record for partition in self.records for record in partition if isinstance(record, tuple)]
        found: dict[str, list[int]] = defaultdict(list)
        for facts, _ in flat:
            if not facts.sequence:
                found[facts.shard].append(facts.ordinal)
        control = self.simulation.snapshot_control()
        for event in control:
            if event.kind is ControlKind.REFUSED:
                found[event.shard].append(event.ordinal)
        for shard, ordinals in found.items():
            if sorted(ordinals) != list(range(len(ordinals))):
                raise BrokenLawError(f"{shard}: ordinals {sorted(ordinals)}")
        for event in control:
            if event.kind is ControlKind.SHARD_END and len(found[event.shard]) != event.ordinal + 1:
                raise BrokenLawError(f"{event.shard} ended with {event.ordinal}, found are {len(found[event.shard])}")

    def markers(self) -> None:
        """One marker of each complete snapshot in each partition, behind all its rows."""
        complete = [e.epoch for e in self.simulation.snapshot_control() if e.kind is ControlKind.SNAPSHOT_COMPLETE]
        for number, partition in enumerate(self.records):
            epochs = [record.epoch for record in partition if isinstance(record, SnapshotMarker)]
            if epochs != complete or any(r.partition != number for r in partition if isinstance(r, SnapshotMarker)):
                raise BrokenLawError(f"partition {number} has markers {epochs}, complete are {complete}")
            ended = 0
            for record in partition:
                if isinstance(record, SnapshotMarker):
                    ended = record.epoch
                elif not record[0].sequence and record[0].epoch <= ended:
                    raise BrokenLawError(f"a row of {record[0].epoch} behind the marker of {ended}")

    def epochs(self) -> None:
        """Behind the first row of a snapshot no change goes out under a former epoch."""
        for partition in self.records:
            highest = 0
            for record in partition:
                if isinstance(record, SnapshotMarker):
                    continue
                facts, _ = record
                if facts.sequence and facts.epoch < highest:
                    raise BrokenLawError(f"{facts.subject}: a change of epoch {facts.epoch} behind a row of {highest}")
                if not facts.sequence:
                    highest = max(highest, facts.epoch)

    def convergence(self) -> None:
        """A sink that read everything has the table's state, where a gap was told or a snapshot is complete."""
        gaps = [event.epoch for event in self.simulation.control() if event.kind is ControlKind.GAP]
        if gaps and self.state.completed_epoch <= max(gaps):
            raise BrokenLawError(f"gaps under {gaps} without a snapshot after them: {self.state}")
        if not self.state.completed_epoch:
            return
        sink = Sink()
        for partition in self.records:
            for record in partition:
                sink.take(record)
        streams = self.simulation.streams
        last = {key: revision for _, _, key, revision in streams.written} | streams.items
        # what the dead letters hold is not what a sink can know
        poisoned = {key for key, revision in last.items() if abs(revision) == POISON}
        has = {key: revision for key, (_, revision) in sink.known.items() if revision and key not in poisoned}
        wanted = {key: revision for key, revision in streams.items.items() if key not in poisoned}
        if has != wanted:
            raise BrokenLawError(f"the sink has {has}, the table {wanted}; epochs: {self.state}")


def main() -> None:
    """Run the seeds and ranges of seeds that are named; ends with 1 when a law was broken."""
    logging.disable(logging.CRITICAL)
    held = broken = complete = 0
    for argument in sys.argv[1:]:
        first, _, last = argument.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            simulation = SnapshotSimulation(seed)
            try:
                simulation.run()
                held += 1
                complete += simulation.snapshot_state().completed_epoch > 0
            except BrokenLawError as failure:
                broken += 1
                print(f"seed {seed}: {failure}\n  {simulation.plan}")
    print(f"{held} histories held ({complete} with a complete snapshot), {broken} broke a law")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
