"""What the regions can be made to suffer, alike on processes and on containers, and that the mirror makes up for it."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from feed.testing import Regions

pytestmark = pytest.mark.integration

CAUGHT_UP_WITHIN_S = 90.0


def produce(regions: Regions, feed: str, names: range) -> None:
    producer = Producer({"bootstrap.servers": regions.bootstrap("eu")})
    for number in names:
        producer.produce(feed, key=str(number).encode(), value=b"v")
    assert producer.flush(20) == 0


class Reader:
    """Reads a feed by ``assign`` from its beginning: a group would not notice some faults for 45 s."""

    def __init__(self, bootstrap: str, feed: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(feed, number, 0) for number in range(4)])
        self.keys: list[int] = []

    def read(self, until: int, within_s: float) -> list[int]:
        for _ in range(int(within_s * 5)):
            for message in self._consumer.consume(500, 0.2):
                if message.error() is None:
                    self.keys.append(int(message.key() or b""))
            if len(self.keys) >= until:
                break
        return sorted(self.keys)

    def close(self) -> None:
        self._consumer.close()


def test_a_killed_broker_comes_back_as_it_was(regions: Regions, mirrored_feed: str) -> None:
    """A killed target broker comes back with its address and its records, and the mirror brings the rest once."""
    produce(regions, mirrored_feed, range(50))
    address = regions.bootstrap("us")
    reader = Reader(address, mirrored_feed)
    assert reader.read(50, CAUGHT_UP_WITHIN_S) == list(range(50))
    regions.kill("kafka-us")
    assert regions.part("kafka-us").pid is None
    produce(regions, mirrored_feed, range(50, 100))
    regions.restart("kafka-us")
    assert regions.bootstrap("us") == address
    assert reader.read(100, CAUGHT_UP_WITHIN_S) == list(range(100))
    assert reader.read(101, 2) == list(range(100)), "nothing comes twice"
    reader.close()


def test_a_killed_mirror_goes_on_where_it_was(regions: Regions, mirrored_feed: str) -> None:
    """The mirror is killed and restarted: what was written meanwhile arrives once."""
    produce(regions, mirrored_feed, range(50))
    reader = Reader(regions.bootstrap("ap"), mirrored_feed)
    assert reader.read(50, CAUGHT_UP_WITHIN_S) == list(range(50))
    regions.kill("mirror-ap")
    produce(regions, mirrored_feed, range(50, 100))
    regions.restart("mirror-ap")
    assert reader.read(100, CAUGHT_UP_WITHIN_S) == list(range(100))
    assert reader.read(101, 2) == list(range(100)), "nothing comes twice"
    reader.close()


def test_an_isolated_region_gets_nothing_and_catches_up(regions: Regions, mirrored_feed: str) -> None:
    """While a region is cut off this machine reaches it and others go on; nothing is copied to it until it is back."""
    produce(regions, mirrored_feed, range(10))
    us, ap = (Reader(regions.bootstrap(region), mirrored_feed) for region in ("us", "ap"))
    assert us.read(10, CAUGHT_UP_WITHIN_S) == list(range(10))
    regions.isolate("us")
    produce(regions, mirrored_feed, range(10, 60))
    assert ap.read(60, CAUGHT_UP_WITHIN_S) == list(range(60))
    assert us.read(11, 3) == list(range(10))
    assert mirrored_feed in AdminClient({"bootstrap.servers": regions.bootstrap("us")}).list_topics(timeout=10).topics
    regions.rejoin("us")
    assert us.read(60, CAUGHT_UP_WITHIN_S) == list(range(60))
    assert us.read(61, 2) == list(range(60)), "nothing comes twice"
    us.close()
    ap.close()


def test_a_paused_broker_hangs_and_resumes(regions: Regions, mirrored_feed: str) -> None:
    """A frozen broker answers nothing and refuses nothing; after resuming it is the same process."""
    part = regions.part("kafka-ap")
    before = part.pid
    part.pause()
    try:
        with pytest.raises(KafkaException):
            AdminClient({"bootstrap.servers": regions.bootstrap("ap")}).list_topics(timeout=2)
    finally:
        part.resume()
    assert mirrored_feed in AdminClient({"bootstrap.servers": regions.bootstrap("ap")}).list_topics(timeout=20).topics
    assert part.pid == before


def test_a_frozen_broker_can_be_killed_and_restarted(regions: Regions, mirrored_feed: str) -> None:
    """Pause does not stand in the way of kill, and what is restarted is not frozen any more."""
    regions.part("kafka-ap").pause()
    regions.kill("kafka-ap")
    assert regions.part("kafka-ap").pid is None
    regions.restart("kafka-ap")
    assert mirrored_feed in AdminClient({"bootstrap.servers": regions.bootstrap("ap")}).list_topics(timeout=20).topics
