"""A topic in memory with the interface of a cluster: a sink's author tests in milliseconds, without a broker.

It behaves as the real one does where a consumer can tell: groups with cooperative rebalancing, committed offsets, holes
left by transaction markers, ends of partitions, retention. What it cannot do is be slow or away, unless told to.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers.runtime.client import Callback, CommitCallback, TopicIdentity
from consumers.runtime.contracts import Fetched
from consumers.runtime.memory_record import MemoryRecord
from schemas.errors import ConfigError, RetryableError

__all__ = ["MemoryBroker", "MemoryClient", "MemoryRecord"]

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
_RESET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 (as above)


@dataclass
class _Log:
    records: dict[int, MemoryRecord] = field(default_factory=dict)
    low: int = 0
    end: int = 0


@dataclass
class _Group:
    topic: str = ""
    members: list[MemoryClient] = field(default_factory=list)
    owners: dict[int, MemoryClient] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)


class MemoryBroker:
    """A cluster in memory with one topic to read, and whatever topics :meth:`append` is asked for."""

    def __init__(self, topic: str, partitions: int = 1, *, now_ms: Callable[[], int] | None = None) -> None:
        self.topic = topic
        self.lock = threading.Condition(threading.RLock())
        self._now_ms = now_ms or (lambda: int(time.time() * 1000))
        self._logs: dict[tuple[str, int], _Log] = {(topic, number): _Log() for number in range(partitions)}
        self._partitions = {topic: partitions}
        self._lives = 1
        """How many topics were made: each has an id of its own."""
        self._ids = {topic: f"{topic}-1"}
        self._groups: dict[str, _Group] = {}
        self.refusing: RetryableError | None = None
        """What :meth:`append` raises while it is set."""

    # -- for tests ----------------------------------------------------------------------------------------------

    def put(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int = 0,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
        topic: str | None = None,
    ) -> int:
        """Write a record; returns its offset."""
        with self.lock:
            name = topic or self.topic
            log = self._logs.setdefault((name, partition), _Log())
            at_ms = self._now_ms() if timestamp_ms is None else timestamp_ms
            log.records[log.end] = MemoryRecord(name, partition, log.end, key, value, tuple(headers), at_ms)
            log.end += 1
            self.lock.notify_all()
            return log.end - 1

    def add_topic(self, topic: str, partitions: int) -> None:
        """Make another topic that groups can read."""
        with self.lock:
            self._lives += 1
            self._partitions[topic], self._ids[topic] = partitions, f"{topic}-{self._lives}"
            self._logs |= {(topic, number): _Log() for number in range(partitions)}

    def delete_topic(self, topic: str) -> None:
        """Delete it, with what groups have committed there."""
        with self.lock:
            del self._partitions[topic], self._ids[topic]
            self._logs = {place: log for place, log in self._logs.items() if place[0] != topic}
            for group in self._groups.values():
                if group.topic == topic:
                    group.committed.clear()
            self.lock.notify_all()

    def put_marker(self, partition: int = 0) -> None:
        """End a transaction: the marker takes an offset and is never handed out."""
        with self.lock:
            self._logs[self.topic, partition].end += 1
            self.lock.notify_all()

    def trim(self, partition: int, low: int) -> None:
        """Let retention delete everything before ``low``."""
        with self.lock:
            log = self._logs[self.topic, partition]
            log.low = low
            log.records = {offset: record for offset, record in log.records.items() if offset >= low}

    def read(self, topic: str) -> list[MemoryRecord]:
        """Every record of a topic, by partition and offset."""
        with self.lock:
            return [r for (name, _), log in sorted(self._logs.items()) if name == topic for r in log.records.values()]

    def committed(self, group: str, partition: int = 0) -> int | None:
        """A group's committed offset."""
        with self.lock:
            return self._groups[group].committed.get(partition) if group in self._groups else None

    def set_committed(self, group: str, partition: int, offset: int) -> None:
        """Put a group somewhere before it starts."""
        with self.lock:
            self._groups.setdefault(group, _Group()).committed[partition] = offset

    def kill(self, group: str) -> None:
        """The members of a group die without a word; the next one gets their partitions."""
        with self.lock:
            for member in list(self._groups[group].members):
                self.remove(group, member)
                member.dead = True

    def lose(self, group: str) -> None:
        """Tell every member that its partitions are lost (its session ended)."""
        with self.lock:
            for member in self._groups[group].members:
                member.lost = True
            self.lock.notify_all()

    # -- Broker -------------------------------------------------------------------------------------------------

    def join(self, group: str, on_commit: CommitCallback) -> MemoryClient:
        """A new member of the group."""
        return MemoryClient(self, group, on_commit)

    def identify(self, topic: str, timeout_s: float) -> TopicIdentity:
        """Who the topic is."""
        del timeout_s
        with self.lock:
            if topic not in self._partitions:
                raise ConfigError(f"there is no topic {topic}", hint="`feed topics apply` creates the feed's topics")
            return TopicIdentity("memory", self._ids[topic], topic, self._partitions[topic])

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], timeout_s: float
    ) -> None:
        """Write one record."""
        del timeout_s
        if self.refusing is not None:
            raise self.refusing
        self.put(key, value, headers=headers, topic=topic)

    def last_record(self, topic: str, partition: int, timeout_s: float) -> MemoryRecord | None:
        """The last record of a partition."""
        del timeout_s
        with self.lock:
            return next(reversed(self._logs[topic, partition].records.values()), None)

    def group_offset(self, group: str, topic: str, partition: int, timeout_s: float) -> int | None:
        """A group's committed offset in the topic that it reads."""
        del topic, timeout_s
        return self.committed(group, partition)

    def close(self) -> None:
        """Nothing to free."""

    # -- for MemoryClient, under the lock -----------------------------------------------------------------------

    def group(self, name: str) -> _Group:
        """The state of a group."""
        return self._groups.setdefault(name, _Group())

    def log(self, partition: int, topic: str = "") -> _Log:
        """The records of a partition; none of a topic that was deleted."""
        return self._logs.get((topic or self.topic, partition)) or _Log()

    def target(self, group: str, member: MemoryClient) -> set[int]:
        """What a member should have: every n-th partition."""
        members = self.group(group).members
        return set(range(members.index(member), self.partitions(member.topic), len(members)))

    def partitions(self, topic: str) -> int:
        """How many a topic has; none when it was deleted."""
        return self._partitions.get(topic, 0)

    def remove(self, group: str, member: MemoryClient) -> None:
        """Take a member out and free what it had."""
        state = self.group(group)
        if member in state.members:
            state.members.remove(member)
        state.owners = {number: owner for number, owner in state.owners.items() if owner is not member}
        self.lock.notify_all()


class MemoryClient:
    """A member of a group of a :class:`MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, group: str, on_commit: CommitCallback) -> None:
        self._broker = broker
        self._group = group
        self._on_commit = on_commit
        self.topic = broker.topic
        self._callbacks: tuple[Callback, Callback, Callback] | None = None
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._told_end: dict[int, int] = {}
        self._fetched_end: dict[int, int] = {}
        """The end as the last fetch of each partition saw it."""
        self._answers: deque[list[TopicPartition]] = deque()
        self.events: deque[KafkaError] = deque()
        """Errors to hand out in place of records (tests)."""
        self.dead = False
        self.lost = False

    def subscribe(self, topics: list[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        """Join the group."""
        (self.topic,) = topics
        self._callbacks = (on_assign, on_revoke, on_lost)
        with self._broker.lock:
            group = self._broker.group(self._group)
            group.topic = self.topic
            group.members.append(self)

    def poll(self, timeout: float) -> Fetched | None:
        """Wait for one record or event."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.consume(1, 0.0)
            if found:
                return found[0]
            with self._broker.lock:
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                self._broker.lock.wait(min(left, 0.01))

    def consume(self, num_messages: int, timeout: float) -> list[Fetched]:
        """What is there."""
        del timeout
        self._serve()
        found: list[Fetched] = []
        with self._broker.lock:
            while self.events and len(found) < num_messages:
                found.append(MemoryRecord(self.topic, -1, -1, event=self.events.popleft()))
            for number in list(self._positions):
                if number not in self._paused:
                    self._read(number, num_messages, found)
        return found

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The group's offsets."""
        del timeout
        with self._broker.lock:
            offsets = self._broker.group(self._group).committed
            return [TopicPartition(p.topic, p.partition, offsets.get(p.partition, -1001)) for p in partitions]

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = 0.0, *, cached: bool = False
    ) -> tuple[int, int] | None:
        """Earliest offset and end."""
        del timeout
        with self._broker.lock:
            log = self._broker.log(partition.partition, self.topic)
            return (log.low, self._fetched_end.get(partition.partition, -1001) if cached else log.end)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these too."""
        with self._broker.lock:
            for partition in partitions:
                self._positions[partition.partition] = partition.offset
                self._told_end.pop(partition.partition, None)

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these no more."""
        for partition in partitions:
            del self._positions[partition.partition]  # a pause outlasts it, as with the real client

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Fetch these later."""
        self._paused.update(p.partition for p in partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Fetch these again."""
        self._paused.difference_update(p.partition for p in partitions)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        """Commit; a dead member is refused."""
        with self._broker.lock:
            if self.dead:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))
            if not self._broker.partitions(self.topic):
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
            state = self._broker.group(self._group)
            for offset in offsets:
                state.committed[offset.partition] = offset.offset
        if asynchronous:
            self._answers.append(offsets)
        return offsets

    def close(self) -> None:
        """Leave the group."""
        owned = [] if self.dead else [n for n, o in self._broker.group(self._group).owners.items() if o is self]
        if owned and self._callbacks is not None:
            self._call(self._callbacks[1], owned)
        with self._broker.lock:
            self._broker.remove(self._group, self)

    def _serve(self) -> None:
        """Run the callbacks that are due, outside the lock as the real client does."""
        while self._answers:
            self._on_commit(None, self._answers.popleft())
        if self._callbacks is None or self.dead:
            return
        on_assign, on_revoke, on_lost = self._callbacks
        with self._broker.lock:
            state = self._broker.group(self._group)
            owned = {number for number, owner in state.owners.items() if owner is self}
            target = set() if self.lost else self._broker.target(self._group, self)
        gone = sorted(owned - target)
        if gone:
            self._call(on_lost if self.lost else on_revoke, gone)
        with self._broker.lock:
            for number in gone:
                del state.owners[number]
            self.lost = False
            come = sorted(number for number in target - owned if number not in state.owners)
            state.owners.update(dict.fromkeys(come, self))
        if come:
            self._call(on_assign, come)

    def _call(self, callback: Callback, numbers: list[int]) -> None:
        """The real client drops the record it was about to hand out when a callback raises; here it is told aloud."""
        try:
            callback(self, [TopicPartition(self.topic, number) for number in numbers])
        except BaseException as error:
            raise RuntimeError("a callback raised: the real client would have lost a record") from error

    def _read(self, number: int, at_most: int, found: list[Fetched]) -> None:
        log, topic = self._broker.log(number, self.topic), self.topic
        self._fetched_end[number] = log.end
        if self._positions[number] < log.low:
            found.append(MemoryRecord(topic, number, self._positions[number], event=KafkaError(_RESET)))
            self._positions[number] = log.end
            return
        while len(found) < at_most and self._positions[number] < log.end:
            record = log.records.get(self._positions[number])
            self._positions[number] += 1
            if record is not None:
                found.append(record)
        at_end = self._positions[number] == log.end
        if at_end and len(found) < at_most and self._told_end.get(number) != log.end:
            self._told_end[number] = log.end
            found.append(MemoryRecord(topic, number, log.end, event=KafkaError(_EOF)))
