"""A worker's parts, stepped by a simulation instead of by threads, and the plan that a seed makes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from feed.testing.simulator import Faults, StreamRates, item_of
from feed.testing.simulator.kafka import KafkaRates, SimulatedFollower
from producers.stream import Clock, FeedSource
from producers.stream.discovery import Discovery
from producers.stream.environment import Environment
from producers.stream.metrics import Families, Metrics
from producers.stream.owner import OwnerState, SlotOwner
from producers.stream.view import View
from schemas.change import Change, Image
from schemas.errors import PoisonError

if TYPE_CHECKING:
    from tests.unit.producers.producer_simulation import Simulation

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
            self.view.own(frozenset(self.assigned))
            self.discovery_due = 0  # the view's change wakes it
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
