"""Sinks that fail as they are told, a consumer on a thread, and what both kinds of clusters offer a test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from connectors.telemetry import Telemetry
from consumers.runtime import BY_REPLAY, Partition, PartitionWriter, Record, RuntimeSettings, consumer
from consumers.runtime.client import Broker
from schemas.change import Change, Op, Source
from schemas.errors import PoisonError, RetryableError
from schemas.version import Version

WAIT_S = 30.0

FAST: dict[str, Any] = {
    "poll_interval_ms": 20,
    "commit_interval_ms": 50,
    "retry_base_ms": 10,
    "retry_cap_ms": 100,
    "sample_interval_ms": 50,
    "session_timeout_ms": 6_000,
}


def value_of(key: str, number: int, *, at_ms: int = 0) -> bytes:
    """A value that :func:`decode` reads."""
    return json.dumps({"key": key, "n": number, "at": at_ms}).encode()


def decode(value: bytes) -> Change:
    """A change from a test's value; anything else is poison."""
    try:
        read = json.loads(value)
    except ValueError as error:
        raise PoisonError("no JSON", hint="a test wrote it", path="value") from error
    source = Source("orders", "eu-west-1", "arn", "shard-1", read["n"], read["n"], f"shard-1:{read['n']}")
    after = {"n": read["n"], "updatedAt": read["at"] or time.time_ns() // 1_000_000}
    return Change(Op.UPDATE, {"orderId": {"S": read["key"]}}, None, after, source, Version(1, read["n"]), 0, 0)


def written_at(change: Change) -> int | None:
    """The time attribute of a test's change."""
    return None if change.after is None else change.after["updatedAt"]


@dataclass
class Recorder:
    """A record sink that remembers, and fails as it is told."""

    name: str = "recorder"
    seen: list[tuple[str, int]] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    failing_numbers: set[int] = field(default_factory=set)
    all_failing: Exception | None = None
    tries: int = 0
    delay_s: float = 0.0
    working: int = 0
    most_working: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, change: Change) -> None:
        key = change.key["orderId"]["S"]
        with self.lock:
            self.tries += 1
            self.working += 1
            self.most_working = max(self.most_working, self.working)
        if self.delay_s:
            time.sleep(self.delay_s)
        with self.lock:
            self.working -= 1
        error = self.all_failing or self.failing.get(key)
        if change.source.sequence in self.failing_numbers:
            error = AWAY
        if error is not None:
            raise error
        with self.lock:
            self.seen.append((key, change.source.sequence))

    def of(self, key: str) -> list[int]:
        return [number for seen, number in self.seen if seen == key]


@dataclass
class Writer:
    """A writer that holds records until it is flushed or has ``size`` of them."""

    sink: Batches
    number: int
    next_offset: int
    held: list[Record] = field(default_factory=list)

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.offset() < self.next_offset:
                continue
            if self.sink.failing is not None:
                raise self.sink.failing
            if record.value() == b"poison":
                raise PoisonError("poison", hint="a test wrote it")
            self.held.append(record)
            self.next_offset = record.offset() + 1
            if len(self.held) >= self.sink.size:
                self.flush()

    def tick(self, now_ms: int) -> None:
        self.sink.ticks += 1

    def flush(self, within_ms: int | None = None) -> None:
        if self.sink.failing is not None:
            raise self.sink.failing
        self.sink.stored += [(self.number, record.offset(), record.value()) for record in self.held]
        self.held.clear()

    def durable(self) -> int:
        return self.held[0].offset() if self.held else self.next_offset

    def close(self) -> None:
        self.sink.closed.append(self.number)


@dataclass
class Batches:
    """A batch sink."""

    name: str = "batches"
    size: int = 10
    stored: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    opened: list[tuple[int, int]] = field(default_factory=list)
    failing: Exception | None = None
    open_failing: list[Exception] = field(default_factory=list)
    start: Callable[[int], int] = lambda committed: committed
    ticks: int = 0

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        if self.open_failing:
            raise self.open_failing.pop()
        self.opened.append((partition.number, committed))
        start = self.start(committed)
        return start, Writer(self, partition.number, start)


class Rig(Protocol):
    """A topic of two partitions and a group, on memory or on a cluster."""

    topic: str
    group: str

    def broker(self, settings: RuntimeSettings) -> Broker: ...
    def put(self, key: str, value: bytes | None, partition: int = 0) -> int: ...
    def put_in_transaction(self, key: str, value: bytes, partition: int = 0) -> int: ...
    def committed(self, partition: int = 0) -> int | None: ...
    def commit(self, partition: int, offset: int) -> None: ...
    def trim(self, partition: int, low: int) -> None: ...
    def dead_letters(self) -> list[Record]: ...
    def end(self, partition: int = 0) -> int: ...


class Running:
    """A consumer on a thread of its own."""

    def __init__(self, rig: Rig, sink: Any, *, when_lapsed: str = BY_REPLAY, **settings: Any) -> None:
        self.settings = RuntimeSettings(**(FAST | settings))
        self.telemetry = Telemetry("test")
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self.consumer = consumer(
            sink,
            topic=rig.topic,
            group=rig.group,
            broker=rig.broker(self.settings),
            decode=decode,
            time_of=written_at,
            settings=self.settings,
            telemetry=self.telemetry,
            stop=self.stop_event,
            when_lapsed=when_lapsed,
        )
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.consumer.run_forever()
        except BaseException as error:  # noqa: BLE001 (the test judges it)
            self.error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stop_event.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), "the consumer did not stop"

    def failed(self) -> BaseException:
        """Wait until it has stopped by itself; its error."""
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), "the consumer did not stop by itself"
        assert self.error is not None, "the consumer stopped without an error"
        return self.error

    def health(self) -> str:
        """What ``/healthz`` answers."""
        status, _, body = self.telemetry.answer("/healthz")
        return f"{status} {body.decode()}"

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0


AWAY = RetryableError("the dependency is away", hint="wait")
