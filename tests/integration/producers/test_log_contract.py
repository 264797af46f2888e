"""What slots rely on in Kafka, asked of a real broker and of the simulation's model alike."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.kafka import KafkaClients, KafkaSettings
from feed.testing import create_topics, until
from feed.testing.simulator import Faults, SimulatedClock, SimulatedGroup, SimulatedKafka
from feed.testing.simulator.kafka import SimulatedFollower
from producers.stream import ProducerSettings
from producers.stream.kafka_group import KafkaFollower, KafkaGroup
from producers.stream.kafka_log import KafkaLog
from producers.stream.ports import Follower, Group, Log, SlotLostError

pytestmark = pytest.mark.integration

Entries = list[tuple[int, bytes, bytes | None]]


class Real:
    """A broker."""

    def __init__(self, broker: Any, feed: str) -> None:
        self.feed = feed
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=broker.bootstrap), client_id="contract")
        create_topics(
            broker.bootstrap,
            dict.fromkeys((feed, *(f"{feed}.{name}" for name in ("control", "dead-letter", "snapshot"))), 1),
        )
        create_topics(broker.bootstrap, {f"{feed}.positions": 4}, settings={"cleanup.policy": "compact"})
        self.settings = ProducerSettings(session_timeout_ms=2_000)
        # a topic that was made a moment ago may not be in the broker's answers yet
        admin = self.clients.admin()
        until(lambda: f"{feed}.positions" in admin.list_topics(timeout=10).topics, "the new topics to be known")
        self._closing: list[Any] = []

    def log(self) -> Log:
        return KafkaLog(self.clients, self.feed, self.settings)

    def follower(self) -> Follower:
        made = KafkaFollower(self.clients, self.feed, 4)
        self._closing.append(made)
        return made

    def member(self, _: str) -> Group:
        made = KafkaGroup(self.clients, self.feed, self.settings)
        self._closing.append(made)
        return made

    def pass_time(self, ms: int) -> None:
        time.sleep(min(ms, 100) / 1_000)

    def close(self) -> None:
        for part in self._closing:
            part.close()


class Model:
    """The simulation's model."""

    def __init__(self, feed: str) -> None:
        self.feed, self.clock = feed, SimulatedClock()
        self.kafka = SimulatedKafka(self.clock, random.Random(1), slots=4, partitions=1, feed=feed)
        self.group = SimulatedGroup(self.clock, slots=4, session_ms=2_000)

    def log(self) -> Log:
        return self.kafka.client(Faults())

    def follower(self) -> Follower:
        return SimulatedFollower(self.kafka)

    def member(self, name: str) -> Group:
        return self.group.member(name)

    def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)

    def close(self) -> None: ...


@pytest.fixture(params=["real", "model"])
def cluster(request: pytest.FixtureRequest, unique_name: Callable[[str], str]) -> Iterator[Any]:
    """Either of them."""
    feed = unique_name("contract")
    made = Real(request.getfixturevalue("kafka_broker"), feed) if request.param == "real" else Model(feed)
    yield made
    made.close()


def write(log: Any, cluster: Any, slot: int, key: bytes, value: bytes | None) -> None:
    log.publish(f"{cluster.feed}.positions", key, value, [], 1_700_000_000_000, partition=slot)


def read_back(kafka: Log, slot: int) -> dict[bytes, bytes]:
    """What a slot holds, tombstones left out."""
    return {key: value for key, value in kafka.read_back(slot) if value is not None}


def commit(log: Any, cluster: Any, slot: int) -> None:
    log.begin()
    write(log, cluster, slot, b"a", b"1")
    log.commit()


def followed(cluster: Any, follower: Follower, enough: int, within_s: float = 60.0) -> Entries:
    """What the follower sees, once so many records that are no tombstones are among it."""
    found: Entries = []
    deadline = time.monotonic() + within_s
    while len([value for _, _, value in found if value is not None]) < enough and time.monotonic() < deadline:
        found += follower.poll(100)
        cluster.pass_time(10)
    return found


class TestLog:
    """Transactions, fencing, reading back."""

    def test_the_slots_are_the_partitions_of_the_positions_topic(self, cluster: Any) -> None:
        """N is the topic's, not a setting's."""
        assert cluster.log().slots() == 4

    def test_what_is_committed_is_read_back_and_followed(self, cluster: Any) -> None:
        """The newest value of each key, by the owner of the slot and by everyone's follower."""
        kafka, follower = cluster.log(), cluster.follower()
        log = kafka.take(2)
        for value in (b"1", b"2"):
            log.begin()
            write(log, cluster, 2, b"a", value)
            write(log, cluster, 2, b"b", value)
            log.commit()
        assert read_back(kafka, 2) == {b"a": b"2", b"b": b"2"}
        assert read_back(kafka, 1) == {}
        assert {(key, value) for slot, key, value in followed(cluster, follower, 4)} >= {(b"a", b"2"), (b"b", b"2")}

    def test_nothing_of_an_aborted_transaction_is_seen(self, cluster: Any) -> None:
        """And what is committed behind it is."""
        kafka, follower = cluster.log(), cluster.follower()
        log = kafka.take(0)
        log.begin()
        write(log, cluster, 0, b"a", b"aborted")
        log.abort()
        assert read_back(kafka, 0) == {}
        log.begin()
        write(log, cluster, 0, b"a", b"good")
        log.commit()
        assert read_back(kafka, 0) == {b"a": b"good"}
        # a real reader's marks are tombstones in between
        assert [e for e in followed(cluster, follower, 1) if e[2] is not None] == [(0, b"a", b"good")]

    def test_taking_a_slot_fences_its_owner_and_aborts_what_is_open(self, cluster: Any) -> None:
        """The former owner cannot commit, and its open records are never seen."""
        kafka = cluster.log()
        former = kafka.take(1)
        former.begin()
        write(former, cluster, 1, b"a", b"former")
        theirs = cluster.log()
        owner = theirs.take(1)
        assert read_back(theirs, 1) == {}
        with pytest.raises(SlotLostError):
            former.commit()
        owner.begin()
        write(owner, cluster, 1, b"a", b"owner")
        owner.commit()
        assert read_back(theirs, 1) == {b"a": b"owner"}

    def test_other_slots_are_not_disturbed(self, cluster: Any) -> None:
        """An id fences itself only."""
        kafka = cluster.log()
        first, second = kafka.take(0), kafka.take(1)
        first.begin()
        kafka.take(1)
        write(first, cluster, 0, b"a", b"1")
        first.commit()
        with pytest.raises(SlotLostError):
            commit(second, cluster, 1)

    def test_a_tombstone_is_read_back_as_none(self, cluster: Any) -> None:
        """A retired position is gone for who reads."""
        kafka = cluster.log()
        log = kafka.take(3)
        log.begin()
        write(log, cluster, 3, b"a", b"1")
        write(log, cluster, 3, b"a", None)
        log.commit()
        assert dict(kafka.read_back(3)).get(b"a") is None


class TestGroup:
    """Who has which slot."""

    def assigned(self, cluster: Any, members: dict[str, Group], want: Callable[[dict[str, set[int]]], bool]) -> Any:
        owned: dict[str, set[int]] = getattr(self, "owned", {name: set() for name in members})
        for _ in itertools.count():
            for name, member in members.items():
                for event in member.poll(50):
                    mine = owned.setdefault(name, set())
                    mine |= set(event.slots) if event.given else set()
                    mine -= set() if event.given else set(event.slots)
            cluster.pass_time(50)
            if want(owned) or _ > 400:
                self.owned = owned
                return owned
        return owned

    def test_all_slots_go_to_one_then_are_shared_then_come_back(self, cluster: Any) -> None:
        """A second member gets half; when it leaves, the first has all again at once."""
        first = cluster.member("a")
        owned = self.assigned(cluster, {"a": first}, lambda o: len(o["a"]) == 4)
        assert owned["a"] == {0, 1, 2, 3}
        second = cluster.member("b")
        both = {"a": first, "b": second}
        owned = self.assigned(cluster, both, lambda o: len(o["a"]) == 2 and len(o.get("b", ())) == 2)
        assert owned["a"] | owned["b"] == {0, 1, 2, 3}
        assert not owned["a"] & owned["b"]
        second.close()
        if hasattr(cluster, "_closing"):
            cluster._closing.remove(second)
        owned = self.assigned(cluster, {"a": first}, lambda o: len(o["a"]) == 4)
        assert owned["a"] == {0, 1, 2, 3}
