"""Whole workers on simulated time, streams and Kafka: every choice comes from one seed.

``python -m tests.unit.producers.producer_simulation 77 1-5000`` repeats seeds and prints what went wrong.
"""

from __future__ import annotations

import logging
import random
import sys
from collections import defaultdict

from connectors.dynamodb_streams import latest_cut_ms
from feed.testing.simulator import CrashedError, SimulatedClock, SimulatedGroup, SimulatedKafka, SimulatedStreams
from feed.testing.simulator.kafka import KafkaRates
from producers.stream import ProducerSettings
from schemas.control import ControlEvent, decode_control
from schemas.headers import Facts, facts_of
from schemas.position import BASELINE_KEY, Baseline, Position
from tests.unit.producers.producer_laws import Laws
from tests.unit.producers.simulated_worker import HOUR_MS, BrokenLawError, Plan, SimulatedWorker, plan_of


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
