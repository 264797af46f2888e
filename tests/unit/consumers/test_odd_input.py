"""Odd input with the feed's own codec and sinks: each has one documented behaviour (docs/sinks.md)."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Self

import pytest

from connectors.telemetry import Telemetry
from consumers.runtime import MemoryBroker, RuntimeSettings, consumer, time_of
from feed.testing import until
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.errors import FatalError
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import FAST
from tests.unit.order_changes import life, order

CODEC = ChangeCodec.for_image(load("order"))
GROUP = "orders.test"


@dataclass
class Keeper:
    """A sink that keeps the changes it was given."""

    name: str = "keeper"
    changes: list[Change] = field(default_factory=list)

    def handle(self, change: Change) -> None:
        self.changes.append(change)


@dataclass
class Scene:
    """A topic, a sink, a consumer on a thread."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker("orders"))
    sink: Keeper = field(default_factory=Keeper)
    telemetry: Telemetry = field(default_factory=lambda: Telemetry("test"))
    stop: threading.Event = field(default_factory=threading.Event)
    errors: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Self:
        settings = RuntimeSettings(**FAST)
        running = consumer(
            self.sink,
            topic="orders",
            group=GROUP,
            broker=self.broker,
            decode=CODEC.decode,
            time_of=time_of("updatedAt"),
            settings=settings,
            telemetry=self.telemetry,
            stop=self.stop,
        )

        def run() -> None:
            try:
                running.run_forever()
            except FatalError as error:
                self.errors.append(error)

        self.thread = threading.Thread(target=run)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(30)

    def drained(self) -> None:
        until(lambda: self.broker.committed(GROUP) == self.broker.log(0).end, "a commit of everything")


def put(scene: Scene, change: Change, value: bytes | None = None, headers: bool = True) -> None:
    scene.broker.put(
        b"o-1",
        CODEC.encode(change) if value is None else value,
        headers=headers_of(change) if headers else (),
    )


def test_a_change_without_headers_is_whole() -> None:
    """The value says everything: a record whose headers were lost on the way is handled like any other."""
    (created,) = life("created")
    with Scene() as scene:
        put(scene, created, headers=False)
        scene.drained()
    assert [change.source for change in scene.sink.changes] == [created.source]
    assert scene.broker.read(f"{GROUP}.dead-letter") == []


@pytest.mark.parametrize("value", [b"\x00", b"not a change at all", b""], ids=["cut", "foreign", "empty"])
def test_a_value_that_is_no_change(value: bytes) -> None:
    """A foreign or cut value is a dead letter, an empty one is passed over; what follows is handled."""
    created, paid = life("created", "paid")
    with Scene() as scene:
        put(scene, created, value)
        put(scene, paid)
        scene.drained()
    assert [change.version for change in scene.sink.changes] == [paid.version]
    assert len(scene.broker.read(f"{GROUP}.dead-letter")) == (1 if value else 0)


def test_a_cut_change() -> None:
    """A change whose last bytes are missing is poison, not a change with less in it."""
    created, paid = life("created", "paid")
    with Scene() as scene:
        put(scene, created, CODEC.encode(created)[:-3])
        put(scene, paid)
        scene.drained()
    (letter,) = scene.broker.read(f"{GROUP}.dead-letter")
    assert letter.value() == CODEC.encode(created)[:-3]
    assert dict(letter.headers() or [])["__connect.errors.exception.path"] == b"value"
    assert dict(letter.headers() or [])["ce_id"] == created.source.event_id.encode()


def test_an_unknown_schema_stops() -> None:
    """A schema id that this program does not know would refuse every record from here on: it stops."""
    (created,) = life("created")
    value = bytearray(CODEC.encode(created))
    value[2:10] = b"\xff" * 8  # the fingerprint in Avro's single-object framing
    with Scene() as scene:
        put(scene, created, bytes(value))
        until(lambda: scene.errors, "the stop")
    assert "schema" in str(scene.errors[0]).lower()
    assert scene.broker.committed(GROUP) == 0
    assert scene.broker.read(f"{GROUP}.dead-letter") == []


def test_a_clock_an_hour_off_is_only_a_wrong_measurement() -> None:
    """Writes an hour ahead or behind are handled like any other; ahead counts as no time, behind as an hour."""
    now_ms = time.time_ns() // 1_000_000
    created, paid = life("created", "paid")
    behind = replace(created, after=order("created", 1, at_ms=now_ms - 3_600_000))
    ahead = replace(paid, after=order("paid", 2, at_ms=now_ms + 3_600_000))
    with Scene() as scene:
        put(scene, behind)
        put(scene, ahead)
        scene.drained()
    assert len(scene.sink.changes) == 2
    assert scene.telemetry.registry.get_sample_value("feed_reaction_seconds_count", {"sink": "keeper"}) == 2
    took_s = scene.telemetry.registry.get_sample_value("feed_reaction_seconds_sum", {"sink": "keeper"})
    assert took_s is not None
    assert 3_600 <= took_s < 3_660
