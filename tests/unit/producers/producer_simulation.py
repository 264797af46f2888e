"""Whole workers on simulated time, streams and Kafka: every choice comes from one seed.

``python -m tests.unit.producers.producer_simulation 77 1-5000`` repeats seeds and prints what went wrong.
"""

from __future__ import annotations

import logging
import random
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.dynamodb_streams import latest_cut_ms
from feed.testing.simulator import (
    CrashedError,
    Faults,
    SimulatedClock,
    SimulatedGroup,
    SimulatedKafka,
    SimulatedStreams,
    StreamRates,
    item_of,
)
from feed.testing.simulator.kafka import KafkaRates, SimulatedFollower
from producers.stream import Clock, FeedSource, ProducerSettings
from producers.stream.discovery import Discovery
from producers.stream.environment import Environment
from producers.stream.metrics import Families, Metrics
from producers.stream.owner import OwnerState, SlotOwner
from producers.stream.view import View
from schemas.change import Change, Image
from schemas.control import ControlEvent, ControlKind, decode_control
from schemas.errors import PoisonError
from schemas.headers import Facts, facts_of
from schemas.position import BASELINE_KEY, Baseline, Position

METRICS = Metrics(Families(CollectorRegistry()), "orders")
POINTS = ("before init", "after init", "reading back", "before commit", "after commit", "discovering")
HOUR_MS = 3_600_000
POISON = 13
"""Revisions that this are, or are minus this, cannot be translated."""


class PlainCodec:
    """A codec that is quick and refuses some revisions."""

    def encode(self, change: Change) -> bytes:
        """The revision, the time-to-live mark, and a digest of both images."""
        image = change.after if change.after is not None else change.before
        revision = int((image or {})["revision"]["N"])
        if revision == POISON:
            raise PoisonError("revision 13", hint="none")
        mark = "ttl" if change.source.ttl else ""
        return f"{revision if change.after is not None else -revision}/{mark}/{digest(change)}".encode()

    def image_from_dynamodb(self, attributes: Mapping[str, Any]) -> Image:
        """As it is."""
        return attributes


def digest(change: Change) -> int:
    """Of key and images, by every name and value in them."""
    return zlib.crc32(repr([change.key, change.before, change.after]).encode())


def digest_of(key: str, revision: int) -> int:
    """Of the change that writes, or with a negative number deletes, a revision."""
    before, after = (item_of(key, -revision), None) if revision < 0 else (None, item_of(key, revision))
    if revision > 1:
        before = item_of(key, revision - 1)
    return zlib.crc32(repr([{"id": {"S": key}}, before, after]).encode())


class BrokenLawError(AssertionError):
    """A law does not hold."""


@dataclass(slots=True)
class Plan:
    """What a seed does."""

    slots: int
    workers: int
    keys: int
    ticks: int
    crash: float
    freeze: float
    outage: float
    away_hours: int = 0
    pause_minutes: int = 0
    latest: bool = False
    new_stream: bool = False
    rates: StreamRates = field(default_factory=StreamRates)
    kafka: KafkaRates = field(default_factory=KafkaRates)


def plan_of(rng: random.Random) -> Plan:
    """A plan by chance; some of its parts are often off, so that others show."""

    def some(most: float, often: float = 0.5) -> float:
        return rng.random() * most if rng.random() < often else 0.0

    return Plan(
        slots=rng.choice((1, 2, 3, 4)),
        workers=rng.choice((1, 2, 2, 3)),
        keys=rng.choice((2, 5, 9)),
        ticks=rng.choice((40, 80, 120)),
        crash=some(0.02, 0.6),
        freeze=some(0.01, 0.4),
        outage=some(0.02, 0.3),
        away_hours=rng.choice((10, 25, 30, 60)) if rng.random() < 0.3 else 0,
        new_stream=rng.random() < 0.15,
        pause_minutes=20 if rng.random() < 0.2 else 0,
        latest=rng.random() < 0.15,
        rates=StreamRates(
            throttled=some(0.1),
            failed=some(0.1),
            empty=some(0.3),
            partial_listing=some(0.3),
            page_records=rng.choice((1, 3, 1_000)),
            listing_delay_ms=rng.choice((0, 0, 3_000, 20_000)),
            closing_delay_ms=rng.choice((0, 0, 30_000)),
            ignores_child_filter=rng.random() < 0.3,
            shards_page=rng.choice((1, 3, 100)),
        ),
        kafka=KafkaRates(
            abort=some(0.1, 0.4), lost=some(0.05, 0.4), lost_after_commit=some(0.05, 0.4), refuse=some(0.1, 0.4)
        ),
    )


class SimulatedWorker:
    """The parts of a worker, stepped by the simulation instead of by threads."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.simulation, self.name = simulation, name
        rng, clock = simulation.rng, simulation.clock
        self.faults = Faults(lambda point: simulation.interfere(self, point))
        self.log = simulation.kafka.client(self.faults)
        self.view = View(self.log.slots())
        self.follower = SimulatedFollower(simulation.kafka)
        self.member = simulation.group.member(name)
        self.jobs: list[Callable[[], None]] = []
        self.assigned: set[int] = set()
        self.owners: dict[int, SlotOwner] = {}
        self.due: dict[int, int] = {}
        ports = Clock(clock.now_ms, clock.steady_ms, rng.random)
        settings = simulation.settings
        self.discovery = Discovery("orders", simulation.streams, self.view, settings, ports)
        self.discovery_due = 0
        self.frozen_until = 0
        self.environment = Environment(
            source=FeedSource("orders", "orders", "eu-west-1"),
            settings=settings,
            codec=PlainCodec(),
            stream=simulation.streams,
            pool=self,
            clock=ports,
            view=self.view,
            metrics=METRICS,
            record_max_bytes=10**6,
        )

    def submit(self, job: Callable[[], None]) -> None:
        """The port ``Pool``."""
        self.jobs.append(job)

    def tick(self) -> None:
        """Each of its parts, in some order, as far as it is due."""
        rng, now = self.simulation.rng, self.simulation.clock.steady_ms()
        parts: list[Callable[[], None]] = [self._group, self._follow, self._run_jobs]
        if now >= self.discovery_due or self.view.ended:
            parts.append(self._discover)
        for number, owner in self.owners.items():
            if owner.wakeup.is_set() or now >= self.due.get(number, 0):
                parts.append(lambda number=number: self._slot(number))  # type: ignore[misc]
        rng.shuffle(parts)
        for part in parts:
            if rng.random() < 0.9:
                part()

    def _group(self) -> None:
        for event in self.member.poll(0):
            self.assigned = self.assigned | set(event.slots) if event.given else self.assigned - set(event.slots)
        for number in self.assigned - self.owners.keys():
            self.owners[number] = SlotOwner(number, self.environment, self.log, lambda n: n in self.assigned)
            self.due[number] = 0

    def _follow(self) -> None:
        if entries := self.follower.poll(0):
            self.view.follow(entries)

    def _run_jobs(self) -> None:
        jobs, self.jobs = self.jobs, []
        self.simulation.rng.shuffle(jobs)
        for job in jobs:
            job()

    def _discover(self) -> None:
        self.faults.at("discovering")
        self.discovery_due = self.simulation.clock.steady_ms() + self.discovery.step()

    def _slot(self, number: int) -> None:
        owner = self.owners.get(number)
        if owner is None:
            return
        owner.wakeup.clear()
        wait = owner.step()
        self.due[number] = self.simulation.clock.steady_ms() + wait
        if owner.failure is not None:
            raise BrokenLawError(f"{self.name} ended: {owner.failure}")
        if owner.state is OwnerState.STOPPED:
            del self.owners[number]

    def stop(self) -> None:
        """Leave gracefully."""
        self.assigned = set()
        for owner in list(self.owners.values()):
            owner.stop()
        self.owners.clear()
        self.member.close()


class Simulation:
    """One seed."""

    def __init__(self, seed: int, *, plan: Plan | None = None, limit: int = 1_500) -> None:
        self.seed, self.limit = seed, limit
        self.rng = random.Random(seed)
        self.plan = plan or plan_of(self.rng)
        self.clock = SimulatedClock()
        self.kafka = SimulatedKafka(self.clock, self.rng, slots=self.plan.slots, partitions=3)
        self.streams = SimulatedStreams(self.clock, self.rng)
        self.group = SimulatedGroup(self.clock, slots=self.plan.slots)
        self.settings = ProducerSettings(gap_policy="continue", discovery_interval_ms=20_000)
        if self.plan.latest:
            self.settings = self.settings.model_copy(update={"start": "latest"})
        self.workers: list[SimulatedWorker] = []
        self.quiet = False
        self.points: dict[str, int] = defaultdict(int)
        self._nested = False
        self._names = 0
        self._outage_until = 0
        self.new_streams = 0

    # --- what happens

    def run(self) -> None:
        """The plan, then quiet until all is published, then the laws."""
        plan, rng = self.plan, self.rng
        self.streams.enable(rng.choice((1, 2)))
        self.streams.rates, self.kafka.rates = plan.rates, plan.kafka
        if plan.latest:
            for _ in range(8):
                self._world()
                self.clock.advance(40_000)
        for _ in range(plan.workers):
            self._start()
        for tick in range(plan.ticks):
            self._world()
            self._tick(rng.choice((20, 100, 100, 250, 1_000, 3_000)))
            if tick == plan.ticks // 2:
                self._half_way()
        self._drain()
        Laws(self).check()

    def _start(self) -> SimulatedWorker:
        self._names += 1
        worker = SimulatedWorker(self, f"w{self._names}")
        self.workers.append(worker)
        return worker

    def _half_way(self) -> None:
        if self.plan.new_stream:
            self.streams.disable()
            self._tick(1_000)
            self.streams.write("k0")
            self.streams.enable(self.rng.choice((1, 2)))
            self.new_streams += 1
        # the workers hang, with what they hold: iterators expire
        self.clock.advance(self.plan.pause_minutes * 60_000)
        if self.plan.away_hours:
            self._away(self.plan.away_hours)

    def _away(self, hours: int) -> None:
        """Nobody reads for so long, while the table goes on."""
        for worker in list(self.workers):
            self._kill(worker)
        for _ in range(hours):
            self.clock.advance(HOUR_MS)
            if self.rng.random() < 0.6:
                self._world()
        self._start()

    def _world(self) -> None:
        """The table's life."""
        rng, streams = self.rng, self.streams
        for _ in range(rng.choice((0, 0, 1, 2, 5))):
            chance, key = rng.random(), f"k{rng.randrange(self.plan.keys)}"
            if chance < 0.85:
                streams.write(key)
            elif chance < 0.95:
                streams.write(key, op="delete", ttl=rng.random() < 0.5)
            else:
                streams.write_nothing_new(key)
        if rng.random() < 0.08:
            shards = streams.open_shards()
            if shards:
                streams.roll(rng.choice(shards), rng.choice((1, 1, 2)) if len(shards) < 5 else 1)

    def _tick(self, ms: int) -> None:
        rng = self.rng
        self.clock.advance(ms)
        if not self.quiet:
            if rng.random() < self.plan.outage:
                self.kafka.down, self._outage_until = True, self.clock.steady_ms() + rng.choice((500, 5_000, 20_000))
            awake = [worker for worker in self.workers if worker.frozen_until <= self.clock.steady_ms()]
            if rng.random() < 0.01 and len(awake) > 1:
                leaving = rng.choice(awake)
                self.workers.remove(leaving)
                leaving.stop()
            if len(self.workers) < self.plan.workers and rng.random() < 0.1:
                self._start()
        if self.kafka.down and self.clock.steady_ms() >= self._outage_until:
            self.kafka.down = False
        workers = list(self.workers)
        rng.shuffle(workers)
        for worker in workers:
            self._step(worker)

    def _step(self, worker: SimulatedWorker) -> None:
        if worker.frozen_until > self.clock.steady_ms() or worker not in self.workers:
            return
        try:
            worker.tick()
        except CrashedError:
            self._kill(worker)

    def _kill(self, worker: SimulatedWorker) -> None:
        self.workers.remove(worker)
        self.group.forget(worker.name)
        self._committed_prefix()

    def _committed_prefix(self) -> None:
        """At this very moment, no saved position lies beyond (or behind) what is committed with it."""
        counts: dict[str, int] = defaultdict(int)
        for topic in ("orders", "orders.dead-letter"):
            for entry in self.kafka.decided(topic):
                counts[dict(entry.headers).get("ce_shard", b"").decode()] += 1
        saved: dict[str, int] = {}
        for entry in self.kafka.decided("orders.positions"):
            if entry.value is not None and entry.key[:1] != b"@":
                saved[entry.key.decode()] = Position.from_json(entry.key, entry.value).ordinal + 1
        wrong = {shard: (saved[shard], counts[shard]) for shard in saved if saved[shard] != counts[shard]}
        if wrong:
            raise BrokenLawError(f"saved and committed differ: {wrong}")

    def interfere(self, worker: SimulatedWorker, point: str) -> None:
        """A worker is at a named point."""
        if self.quiet or self._nested:
            return
        # take-overs are rare beside commits: interfere with them more often
        chance = self.rng.random() / (1 if "commit" in point or point == "discovering" else 6)
        if chance < self.plan.crash:
            self.points[f"crash {point}"] += 1
            raise CrashedError(point)
        if chance < self.plan.crash + self.plan.freeze:
            self.points[f"freeze {point}"] += 1
            self._freeze(worker, self.rng.choice((3_000, 15_000, 40_000)))

    def _freeze(self, worker: SimulatedWorker, ms: int) -> None:
        """SIGSTOP in the middle of a call: the others go on, its slots are given away, it wakes up none the wiser."""
        self._nested = True
        until = self.clock.steady_ms() + ms
        worker.frozen_until = until + HOUR_MS  # whatever the last tick is long
        if len(self.workers) < 2:
            self._start()
        while self.clock.steady_ms() < until:
            self._world()
            self._tick(self.rng.choice((100, 500, 2_000)))
        worker.frozen_until = 0
        self._nested = False

    def _drain(self) -> None:
        """No more faults and writes: everything must be published, within a bound."""
        self.quiet = True
        self.kafka.down = False
        self.kafka.rates = KafkaRates()
        rates = self.streams.rates
        rates.throttled = rates.failed = rates.partial_listing = 0.0
        rates.empty = min(rates.empty, 0.2)
        if not self.workers:
            self._start()
        for turn in range(self.limit):
            self._tick(250 if turn % 4 else 1_000)
            if turn % 10 == 9 and self._settled():
                return
        raise BrokenLawError(f"not settled: {self._unsettled()}")

    def _unsettled(self) -> list[str]:
        positions = self.positions()
        left = [
            f"{p.shard} is {p.state}" for p in positions.values() if not p.state.terminal and not self._open(p.shard)
        ]
        published = {facts.sequence for facts, _ in self.changes()} | set(self.refused())
        done = published | self.streams.trimmed.keys()
        begun = self.baselines()
        left += [
            f"{seq} of {shard}"
            for shard, seq, _, _ in self.streams.written
            if seq not in done and self.promised(shard, seq, begun)
        ]
        # a child, or its parent, may still be on its way into the listings
        left += [f"{shard.id} is unknown" for shard in self.streams.open_shards() if shard.id not in positions]
        return left

    def promised(self, shard: str, sequence: int, begun: list[Baseline]) -> bool:
        """Whether the record belongs to a stream that the feed has begun with, or a later one, and to its part."""
        if not begun:
            return True
        early = self.streams.written_ms[sequence] < latest_cut_ms(begun[0].start) and shard in begun[0].shards
        return not early and self.streams.streams[shard] >= begun[0].stream

    def _settled(self) -> bool:
        return not self._unsettled()

    def _open(self, shard: str) -> bool:
        return any(shard == known.id for known in self.streams.open_shards())

    # --- what can be read

    def changes(self) -> list[tuple[Facts, str]]:
        """Every committed change with its revision and mark, partition by partition."""
        found = []
        for partition in range(3):
            entries, _ = self.kafka.committed("orders", partition)
            found += [(facts_of(entry.headers), (entry.value or b"").decode()) for entry in entries]
        return found

    def refused(self) -> list[int]:
        """Sequence numbers of the dead letters."""
        entries, _ = self.kafka.committed("orders.dead-letter", 0)
        return [int(dict(entry.headers)["ce_sequence"]) for entry in entries]

    def control(self) -> list[ControlEvent]:
        """Control events."""
        entries, _ = self.kafka.committed("orders.control", 0)
        return [decode_control(entry.value or b"") for entry in entries]

    def baselines(self) -> list[Baseline]:
        """Every baseline that was written."""
        entries, _ = self.kafka.committed("orders.positions", 0)
        return [Baseline.from_json(entry.value) for entry in entries if entry.key == BASELINE_KEY and entry.value]

    def positions(self) -> dict[str, Position]:
        """The positions that are saved."""
        found: dict[str, Position] = {}
        for slot in range(self.plan.slots):
            entries, _ = self.kafka.committed("orders.positions", slot)
            for entry in entries:
                if entry.key[:1] == b"@":
                    continue
                if entry.value is None:
                    found.pop(entry.key.decode(), None)
                else:
                    found[entry.key.decode()] = Position.from_json(entry.key, entry.value)
        return found


class Laws:
    """What must hold at the end of every simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.changes = simulation.changes()
        self.control = simulation.control()
        self.positions = simulation.positions()
        self.baselines = simulation.baselines()

    def check(self) -> None:
        """All laws."""
        self.once_and_in_order()
        self.ordinals()
        self.nothing_lost()
        self.lineage()
        self.values()

    def _of(self, kind: ControlKind) -> list[ControlEvent]:
        return [event for event in self.control if event.kind is kind]

    def once_and_in_order(self) -> None:
        """No change twice; versions of a key grow along its partition."""
        last: dict[str, tuple[int, int]] = {}
        for facts, _ in self.changes:
            if facts.version <= last.get(facts.subject, (0, 0)):
                raise BrokenLawError(f"{facts.subject}: {facts.version} after {last[facts.subject]}")
            last[facts.subject] = facts.version

    def ordinals(self) -> None:
        """Dense and unique in each shard, dead letters among them; the position counts exactly what is committed."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for facts, _ in self.changes:
            found[facts.shard].append((facts.ordinal, facts.sequence))
        for event in self._of(ControlKind.REFUSED):
            found[event.shard].append((event.ordinal, event.sequence or 0))
        for shard, pairs in found.items():
            pairs.sort()
            if [ordinal for ordinal, _ in pairs] != list(range(len(pairs))):
                raise BrokenLawError(f"{shard}: ordinals {pairs}")
            if [sequence for _, sequence in pairs] != sorted(sequence for _, sequence in pairs):
                raise BrokenLawError(f"{shard}: sequence numbers out of order {pairs}")
        for shard, position in self.positions.items():
            if position.ordinal != len(found[shard]) - 1:
                raise BrokenLawError(
                    f"{shard}: the position says {position.ordinal}, committed are {len(found[shard])}"
                )
            if found[shard] and position.sequence != found[shard][-1][1]:
                raise BrokenLawError(f"{shard}: the position says {position.sequence}, committed is {found[shard][-1]}")

    def nothing_lost(self) -> None:
        """What is missing was trimmed and has a gap event; where nothing was trimmed there is none."""
        streams = self.simulation.streams
        refused = self.simulation.refused()
        published = {facts.sequence for facts, _ in self.changes} | set(refused)
        if len(published) != len(self.changes) + len(refused):
            raise BrokenLawError("a record was published twice")
        gaps = {event.shard for event in self._of(ControlKind.GAP) if event.shard}
        covered = self._with_ancestors(gaps)
        parents = {event.shard for event in self._of(ControlKind.SHARD_START)}
        for shard, sequence, key, revision in streams.written:
            if sequence in published or not self.simulation.promised(shard, sequence, self.baselines):
                continue
            if sequence not in streams.trimmed:
                raise BrokenLawError(f"lost {key}/{revision} of {shard}")
            if streams.trimmed[sequence] <= self.baselines[0].at_ms:
                continue  # before the feed began
            if self.simulation.new_streams and shard not in parents:
                continue  # the gap event of the new stream covers what nobody ever knew of it
            if shard not in covered:
                raise BrokenLawError(f"{key}/{revision} of {shard} was trimmed without a gap event; gaps: {gaps}")
        if gaps and not self.simulation.plan.away_hours:
            raise BrokenLawError(f"gap events though nothing was trimmed: {gaps}")
        whole = [event for event in self._of(ControlKind.GAP) if not event.shard]
        if len(whole) != len({baseline.stream for baseline in self.baselines}) - 1:
            raise BrokenLawError(f"{len(whole)} gap events of new streams, baselines: {self.baselines}")

    def _with_ancestors(self, gaps: set[str]) -> set[str]:
        """A gap covers its shard and those before it of which the feed never knew."""
        parents = {event.shard: event.parent for event in self._of(ControlKind.SHARD_START)}
        born = self.simulation.streams.parents
        covered = set(gaps)
        for shard in gaps:
            parent = born.get(shard, "")
            while parent and parent not in parents:
                covered.add(parent)
                parent = born.get(parent, "")
        return covered

    def lineage(self) -> None:
        """Starts and ends are unique; the ends count; no shard was read before its parent was terminal."""
        starts = [event.shard for event in self._of(ControlKind.SHARD_START)]
        ends = {event.shard: event.ordinal for event in self._of(ControlKind.SHARD_END)}
        if len(starts) != len(set(starts)) or len(ends) != len(self._of(ControlKind.SHARD_END)):
            raise BrokenLawError("a shard started or ended twice")
        terminal = ends.keys() | {event.shard for event in self._of(ControlKind.GAP)}
        read = {facts.shard for facts, _ in self.changes}
        parents = {event.shard: event.parent for event in self._of(ControlKind.SHARD_START)}
        for shard in read:
            if shard not in parents:
                raise BrokenLawError(f"{shard} was read but never started")
            if parents[shard] and parents[shard] not in terminal:
                raise BrokenLawError(f"{shard} was read before {parents[shard]} was terminal")
        for shard, last in ends.items():
            if self.positions[shard].ordinal != last:
                raise BrokenLawError(f"{shard} ended with {last}, its position says {self.positions[shard].ordinal}")

    def values(self) -> None:
        """Each change carries key and images as they were written, whole, and the time-to-live mark."""
        written = {sequence: (key, revision) for _, sequence, key, revision in self.simulation.streams.written}
        expired = self.simulation.streams.expired
        for facts, value in self.changes:
            key, revision = written[facts.sequence]
            mark = "ttl" if facts.sequence in expired else ""
            if (key, f"{revision}/{mark}/{digest_of(key, revision)}") != (facts.subject, value):
                raise BrokenLawError(f"{facts.sequence}: {facts.subject}/{value} is not {key}/{revision}")
        for sequence in self.simulation.refused():
            if abs(written[sequence][1]) != POISON:
                raise BrokenLawError(f"{sequence} was refused")


def main() -> None:
    """Run the seeds and ranges of seeds that are named; ends with 1 when a law was broken."""
    logging.disable(logging.CRITICAL)
    held = broken = 0
    for argument in sys.argv[1:]:
        first, _, last = argument.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            simulation = Simulation(seed)
            try:
                simulation.run()
                held += 1
            except BrokenLawError as failure:
                broken += 1
                print(f"seed {seed}: {failure}\n  {simulation.plan}")
    print(f"{held} histories held, {broken} broke a law")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
