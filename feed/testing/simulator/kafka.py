"""A model of what slots use of Kafka: transactions, fencing, read_committed, a group. One process, no threads."""

from __future__ import annotations

import random as random_module
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from feed.testing.simulator.clock import SimulatedClock
from feed.testing.simulator.faults import Faults
from producers.stream.ports import Assignment, BatchAbortedError, Headers, SlotLostError
from producers.stream.view import SNAPSHOT
from schemas.errors import RetryableError

HINT = "simulated"


@dataclass(slots=True)
class Entry:
    """A record, or a transaction's marker (an empty key)."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    state: str
    """``open``, ``committed`` or ``aborted``."""


@dataclass(slots=True)
class _Id:
    """A transactional id."""

    epoch: int = 0
    open: list[tuple[list[Entry], Entry]] | None = None
    begun_ms: int = 0


@dataclass(slots=True)
class KafkaRates:
    """How often a call goes wrong."""

    abort: float = 0.0
    lost: float = 0.0
    lost_after_commit: float = 0.0
    refuse: float = 0.0


class SimulatedKafka:
    """The cluster."""

    def __init__(
        self, clock: SimulatedClock, random: random_module.Random, *, slots: int, partitions: int, feed: str = "orders"
    ) -> None:
        self.clock, self.random, self.feed = clock, random, feed
        self.rates = KafkaRates()
        self.down = False
        self.transaction_timeout_ms = 10_000
        self.logs: dict[tuple[str, int], list[Entry]] = {}
        self.partitions = {feed: partitions, f"{feed}.positions": slots}
        self.partitions |= dict.fromkeys((f"{feed}.control", f"{feed}.dead-letter", f"{feed}.snapshot"), 1)
        for topic, count in self.partitions.items():
            for partition in range(count):
                self.logs[topic, partition] = []
        self.ids: dict[str, _Id] = {}
        clock.on_advance(self._time_out)

    def committed(self, topic: str, partition: int, start: int = 0) -> tuple[list[Entry], int]:
        """Committed records from ``start`` up to the last stable offset, and that offset."""
        log, found = self.logs[topic, partition], []
        offset = start
        while offset < len(log) and log[offset].state != "open":
            if log[offset].state == "committed" and log[offset].key != b"":
                found.append(log[offset])
            offset += 1
        return found, offset

    def decided(self, topic: str) -> list[Entry]:
        """All committed records of a topic, also those behind an open transaction, which no reader sees yet."""
        logs = [log for (name, _), log in self.logs.items() if name == topic]
        return [entry for log in logs for entry in log if entry.state == "committed" and entry.key != b""]

    def client(self, faults: Faults) -> SimulatedLog:
        """The cluster as one worker sees it."""
        return SimulatedLog(self, faults)

    def end(self, transaction: _Id, state: str) -> None:
        """Decide an open transaction and write its markers."""
        if transaction.open is None:
            return
        logs: list[list[Entry]] = []
        for log, entry in transaction.open:
            entry.state = state
            if not any(log is known for known in logs):
                logs.append(log)
        for log in logs:
            log.append(Entry(b"", None, (), 0, state))
        transaction.open = None

    def _time_out(self) -> None:
        for transaction in self.ids.values():
            late = self.clock.steady_ms() - transaction.begun_ms > self.transaction_timeout_ms
            if transaction.open is not None and late and not self.down:
                self.end(transaction, "aborted")
                transaction.epoch += 1  # the coordinator fences whoever let it time out


@dataclass(slots=True)
class SimulatedLog:
    """The port ``Log`` of one worker."""

    kafka: SimulatedKafka
    faults: Faults

    def slots(self) -> int:
        """Partitions of the positions topic."""
        return self.kafka.partitions[f"{self.kafka.feed}.positions"]

    def take(self, slot: int) -> SimulatedSlotLog:
        """Fence the former owner and abort what it left open."""
        self.faults.at("before init")
        kafka = self.kafka
        if kafka.down or kafka.random.random() < kafka.rates.refuse:
            raise RetryableError("simulated: the coordinator is away", hint=HINT)
        transaction = kafka.ids.setdefault(f"{kafka.feed}.slot-{slot}", _Id())
        kafka.end(transaction, "aborted")
        transaction.epoch += 1
        log = SimulatedSlotLog(kafka, self.faults, slot, transaction, transaction.epoch)
        self.faults.at("after init")
        return log

    def read_back(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """The slot's partition up to its end."""
        self.faults.at("reading back")
        kafka = self.kafka
        if kafka.down or kafka.random.random() < kafka.rates.refuse:
            raise RetryableError("simulated: the broker is away", hint=HINT)
        topic = f"{kafka.feed}.positions"
        entries, stable = kafka.committed(topic, slot)
        if stable < len(kafka.logs[topic, slot]):
            raise RetryableError("simulated: an open transaction below the high watermark", hint=HINT)
        return list({entry.key or b"": entry.value for entry in entries}.items())


class SimulatedSlotLog:
    """The port ``SlotLog``."""

    def __init__(self, kafka: SimulatedKafka, faults: Faults, slot: int, transaction: _Id, epoch: int) -> None:
        self._kafka, self._faults, self._slot, self._id, self._epoch = kafka, faults, slot, transaction, epoch

    def _check(self) -> None:
        if self._id.epoch != self._epoch:
            raise SlotLostError("simulated: fenced", hint=HINT)

    def begin(self) -> None:
        """Open a transaction."""
        self._check()
        self._id.open, self._id.begun_ms = [], self._kafka.clock.steady_ms()

    def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int,
        *,
        partition: int = -1,
    ) -> None:
        """Append; not readable before the commit."""
        self._check()
        kafka = self._kafka
        if partition < 0:
            partition = zlib.crc32(key or b"") % kafka.partitions[topic]
        if self._id.open is None:
            raise BatchAbortedError("simulated: no open transaction", hint=HINT)
        entry = Entry(key, value, headers, timestamp_ms, "open")
        log = kafka.logs[topic, partition]
        log.append(entry)
        self._id.open.append((log, entry))

    def save(self, key: bytes, value: bytes | None, timestamp_ms: int) -> None:
        """Append to the slot's own partition."""
        self.publish(f"{self._kafka.feed}.positions", key, value, (), timestamp_ms, partition=self._slot)

    def commit(self) -> None:
        """Commit, or fail in one of the ways that Kafka knows."""
        kafka = self._kafka
        self._faults.at("before commit")
        self._check()
        if self._id.open is None:
            raise SlotLostError("simulated: no open transaction", hint=HINT)
        if kafka.down or kafka.random.random() < kafka.rates.abort:
            raise BatchAbortedError("simulated: the batch must be aborted", hint=HINT)
        if kafka.random.random() < kafka.rates.lost:
            raise SlotLostError("simulated: the producer is broken", hint=HINT)
        kafka.end(self._id, "committed")
        if kafka.random.random() < kafka.rates.lost_after_commit:
            raise SlotLostError("simulated: the answer to the commit was lost", hint=HINT)
        self._faults.at("after commit")

    def abort(self) -> None:
        """Abort what is open."""
        self._check()
        self._kafka.end(self._id, "aborted")

    def close(self) -> None:
        """Leave; what is open stays so."""


@dataclass(slots=True)
class SimulatedFollower:
    """The port ``Follower``."""

    kafka: SimulatedKafka
    offsets: dict[int, int] = field(default_factory=dict)

    def poll(self, timeout_ms: int) -> Sequence[tuple[int, bytes, bytes | None]]:  # noqa: ARG002 (the port's signature)
        """What was committed since."""
        topic, found = f"{self.kafka.feed}.positions", []
        for slot in range(self.kafka.partitions[topic]):
            entries, self.offsets[slot] = self.kafka.committed(topic, slot, self.offsets.get(slot, 0))
            found += [(slot, entry.key or b"", entry.value) for entry in entries]
        told = f"{self.kafka.feed}.snapshot"
        entries, self.offsets[SNAPSHOT] = self.kafka.committed(told, 0, self.offsets.get(SNAPSHOT, 0))
        found += [(SNAPSHOT, entry.key or b"", entry.value) for entry in entries]
        return found

    def close(self) -> None:
        """Leave."""


class SimulatedGroup:
    """The group of all workers: members are seen at their polls, and dropped after a session of silence."""

    def __init__(self, clock: SimulatedClock, *, slots: int, session_ms: int = 10_000) -> None:
        self._clock, self._slots, self._session_ms = clock, slots, session_ms
        self.seen_ms: dict[str, int] = {}
        self.owned: dict[str, set[int]] = {}
        self._told: dict[str, set[int]] = {}
        clock.on_advance(self._expire)

    def member(self, name: str) -> SimulatedMember:
        """The port ``Group`` of one worker."""
        return SimulatedMember(self, name)

    def poll(self, name: str) -> list[Assignment]:
        """A sign of life; what changed since the last one."""
        told = self._told.get(name, set())
        if name not in self.seen_ms:
            # a member that was dropped, or is new: whatever it thought it had is lost
            self.seen_ms[name] = self._clock.steady_ms()
            self._told[name] = set()
            self._balance()
            return [Assignment(tuple(sorted(told)), given=False)] if told else []
        self.seen_ms[name] = self._clock.steady_ms()
        owned = self.owned.get(name, set())
        events = []
        if gone := told - owned:
            events.append(Assignment(tuple(sorted(gone)), given=False))
        if new := owned - told:
            events.append(Assignment(tuple(sorted(new)), given=True))
        self._told[name] = set(owned)
        return events

    def leave(self, name: str) -> None:
        """A member says goodbye."""
        self.seen_ms.pop(name, None)
        self._balance()

    def forget(self, name: str) -> None:
        """The member's process is gone; the group does not know yet."""
        self._told.pop(name, None)

    def _expire(self) -> None:
        now = self._clock.steady_ms()
        dead = [name for name, at in self.seen_ms.items() if now - at > self._session_ms]
        for name in dead:
            del self.seen_ms[name]
        if dead:
            self._balance()

    def _balance(self) -> None:
        """Sticky: members keep what they have, up to their share; the rest goes to who has least."""
        members = sorted(self.seen_ms)
        owned = {name: set(self.owned.get(name, set())) for name in members}
        if members:
            share = -(-self._slots // len(members))
            for name in members:
                owned[name] = set(sorted(owned[name])[:share])
            for slot in sorted(set(range(self._slots)) - set().union(*owned.values())):
                owned[min(members, key=lambda name: (len(owned[name]), name))].add(slot)
        self.owned = owned


@dataclass(slots=True)
class SimulatedMember:
    """The port ``Group``."""

    group: SimulatedGroup
    name: str

    def poll(self, timeout_ms: int) -> Sequence[Assignment]:  # noqa: ARG002 (the port's signature)
        """What the group said."""
        return self.group.poll(self.name)

    def close(self) -> None:
        """Leave at once."""
        self.group.leave(self.name)
