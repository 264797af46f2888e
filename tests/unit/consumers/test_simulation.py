"""Whole groups, simulated: members of both kinds on a cluster in memory, driven step by step from a seed.

Time, failures, calls that hang, kills, rebalances and lost sessions come from the seed; nothing runs by itself. After
every step no commit may lie beyond a durable effect, and in the end, when nothing fails any more, every effect is
there, in order. A call that hangs takes effect later: also when its member has left meanwhile.
"""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.telemetry import Telemetry
from consumers.runtime import Consumer, MemoryBroker, Partition, PartitionWriter, Record, RuntimeSettings, consumer
from consumers.runtime.memory import MemoryClient
from schemas.change import Change
from schemas.errors import PoisonError, RetryableError
from tests.unit.consumers.consumer_contract import decode, value_of
from tests.unit.consumers.virtual_calls import VirtualCalls

GROUP = "orders.simulated"
PARTITIONS = 3
STEPS = 400
SEEDS = 12

SETTINGS = RuntimeSettings(
    poll_interval_ms=1,
    commit_interval_ms=20,
    retry_base_ms=5,
    retry_cap_ms=40,
    sample_interval_ms=50,
    fetch_records=7,
    outage_after=6,
    max_parked_keys=3,
    max_held_records=20,
    poison_share=1.0,
    revoke_budget_ms=60,
)


@dataclass
class World:
    """What exists outside the members: the topic, the effects, time, luck."""

    random: random.Random
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker("orders", PARTITIONS))
    now_ms: int = 1_000
    failing: float = 0.2
    hanging: float = 0.03
    left: list[VirtualCalls] = field(default_factory=list)
    """Calls of members that have left: what hangs there may still take effect."""
    applied: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    stored: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    written: dict[int, list[tuple[int, str | None, int]]] = field(default_factory=lambda: defaultdict(list))

    def maybe_fail(self) -> None:
        if self.random.random() < self.failing:
            raise RetryableError("luck", hint="")

    def hang_ms(self) -> int:
        return self.random.randrange(1, 300) if self.random.random() < self.hanging else 0

    def put(self) -> None:
        number = sum(len(records) for records in self.written.values())
        partition = self.random.randrange(PARTITIONS)
        key: str | None = f"k{partition}-{self.random.randrange(4)}"
        poison = self.random.random() < 0.03
        value = b"poison" if poison else value_of(str(key), number)
        offset = self.broker.put(str(key).encode(), value, partition=partition)
        self.written[partition].append((offset, None if poison else key, number))
        if self.random.random() < 0.2:
            self.broker.put_marker(partition)

    def dead(self) -> set[tuple[int, int]]:
        letters = self.broker.read(f"{GROUP}.dead-letter")
        found = [dict(letter.headers() or []) for letter in letters]
        return {(int(h["__connect.errors.partition"]), int(h["__connect.errors.offset"])) for h in found}


class Picks:
    """A record sink with the warehouse's idempotence."""

    name = "picks"

    def __init__(self, world: World) -> None:
        self.world = world

    def handle(self, change: Change) -> None:
        self.world.maybe_fail()
        applied = self.world.applied[change.key["orderId"]["S"]]
        if not applied or change.source.sequence > applied[-1]:
            applied.append(change.source.sequence)
        if self.world.random.random() < self.world.failing / 4:
            raise RetryableError("no answer after the effect", hint="")


class Segments:
    """A batch sink whose writers hold some records back, and fail in every way that they may."""

    name = "segments"

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        self.world.maybe_fail()
        return committed, SegmentWriter(self.world, partition.number, committed)


class SegmentWriter:
    def __init__(self, world: World, number: int, start: int) -> None:
        self.world = world
        self.number = number
        self.next = start
        self.held: list[int] = []

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.offset() < self.next:
                continue
            self.world.maybe_fail()
            if record.value() == b"poison":
                raise PoisonError("poison", hint="")
            self.held.append(record.offset())
            self.next = record.offset() + 1

    def tick(self, now_ms: int) -> None:
        if self.world.random.random() < 0.5:
            self.flush()

    def flush(self, within_ms: int | None = None) -> None:
        while self.held:
            self.world.maybe_fail()
            self.world.stored[self.number].append(self.held.pop(0))

    def durable(self) -> int:
        return self.held[0] if self.held else self.next

    def close(self) -> None:
        self.held.clear()


class Simulation:
    """Members that join, work a step at a time, leave, die and lose their sessions."""

    def __init__(self, seed: int, kind: Any) -> None:
        self.world = World(random.Random(seed))
        self.kind = kind
        self.members: list[Consumer] = []
        self.calls: dict[Consumer, VirtualCalls] = {}

    def join(self) -> None:
        world = self.world
        calls = VirtualCalls(world, world.hang_ms)
        member = consumer(
            self.kind(world),
            topic="orders",
            group=GROUP,
            broker=world.broker,
            decode=decode,
            time_of=lambda _: None,
            settings=SETTINGS,
            telemetry=Telemetry("simulated"),
            stop=threading.Event(),
            now_ms=lambda: world.now_ms,
            random=world.random.random,
            calls=lambda _: calls,
        )
        self.calls[member] = calls
        identity = member._identify()
        assert identity is not None
        member._members.join(identity)
        self.members.append(member)

    def client(self, member: Consumer) -> MemoryClient:
        client = member._members.client
        assert isinstance(client, MemoryClient)
        return client

    def step(self) -> None:
        world, luck = self.world, self.world.random.random()
        world.now_ms += world.random.randrange(1, 15)
        if luck < 0.25:
            world.put()
        elif luck < 0.27 and len(self.members) < 3:
            self.join()
        elif luck < 0.28 and len(self.members) > 1:
            self.leave()
        elif luck < 0.30 and self.members:
            self.kill(world.random.randrange(len(self.members)))
        elif luck < 0.32 and self.members:
            self.client(world.random.choice(self.members)).lost = True
        elif self.members:
            world.random.choice(self.members)._turn()
        else:
            self.join()
        for calls in world.left:
            calls.serve()
        self.check_commits()

    def leave(self) -> None:
        member = self.members.pop(self.world.random.randrange(len(self.members)))
        member._members.leave()
        self.world.left.append(self.calls[member])

    def kill(self, number: int) -> None:
        client = self.client(self.members.pop(number))
        with self.world.broker.lock:
            self.world.broker.remove(GROUP, client)
        client.dead = True

    def check_commits(self) -> None:
        """Everything before a commit has its effect, or its dead letter."""
        world, dead = self.world, self.world.dead()
        for partition in range(PARTITIONS):
            committed = world.broker.committed(GROUP, partition) or 0
            stored = set(world.stored[partition])
            for offset, key, number in world.written[partition]:
                if offset >= committed:
                    break
                if key is None:
                    assert (partition, offset) in dead
                elif self.kind is Picks:
                    assert number in world.applied[key], f"{partition}@{offset} committed without its effect"
                else:
                    assert offset in stored, f"{partition}@{offset} committed without its effect"

    def drain(self) -> None:
        """Nothing fails any more: whoever is left finishes."""
        self.world.failing = self.world.hanging = 0.0
        if not self.members:
            self.join()
        for _ in range(3_000):
            self.world.now_ms += 10
            for member in self.members:
                member._turn()
            if self.drained():
                return
        pytest.fail("the group did not finish")

    def drained(self) -> bool:
        broker = self.world.broker
        return all(broker.committed(GROUP, number) == broker.log(number).end for number in range(PARTITIONS))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_record_sinks_under_every_fault(seed: int) -> None:
    """Each key's every change is applied, once and in order; nothing is committed before; poison is kept."""
    simulation = Simulation(seed, Picks)
    for _ in range(STEPS):
        simulation.step()
    simulation.drain()
    simulation.check_commits()
    expected: dict[str, list[int]] = defaultdict(list)
    for records in simulation.world.written.values():
        for _, key, number in records:
            if key is not None:
                expected[key].append(number)
    assert simulation.world.applied == expected
    assert json.dumps(expected)  # something was written at all
    assert sum(map(len, expected.values())) > STEPS // 8


@pytest.mark.parametrize("seed", range(SEEDS))
def test_batch_sinks_under_every_fault(seed: int) -> None:
    """Each partition's every record is stored, none is committed before; poison is kept."""
    simulation = Simulation(seed, Segments)
    for _ in range(STEPS):
        simulation.step()
    simulation.drain()
    simulation.check_commits()
    for partition, records in simulation.world.written.items():
        expected = [offset for offset, key, _ in records if key is not None]
        assert sorted(set(simulation.world.stored[partition])) == expected
