"""The whole command's work, over the client's own mock cluster and an archive in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer, TopicPartition
from prometheus_client import CollectorRegistry

from connectors.kafka import KafkaClients, KafkaSettings
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition
from feed.config import FeedConfig, parse_config
from feed.replay import Range, Replayer, request_of
from feed.replay import replayer as module
from feed.replay.live import LivePartition, LiveTopic
from producers.replay import ReplayTopic
from schemas.errors import ConfigError
from schemas.headers import facts_of
from schemas.replay import commit_note, marker_of
from tests.unit.memory_store import InlineExecutor, MemoryStore
from tests.unit.replay.archived import START_MS, Archived, Died

PARTITIONS = 4
"""What the mock cluster gives a topic."""
CHANGES = [Archived(f"o-{n % 7}", n + 1, ordinal=n, at_ms=START_MS + 2_000 * n, value=b"v%d" % n) for n in range(60)]


class Cluster:
    """A mock cluster with a live topic; what its admin API lacks is told by hand."""

    def __init__(self) -> None:
        self._mock = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
        (broker,) = self._mock.list_topics(timeout=10).brokers.values()
        self.bootstrap = f"{broker.host}:{broker.port}"
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=self.bootstrap), client_id="test")
        self.topics: dict[str, int] = {}

    def publish(self, topic: str, changes: list[Archived]) -> None:
        producer = self.clients.producer()
        for change in changes:
            producer.produce(topic, change.value, change.key.encode(), timestamp=change.at_ms)
        assert producer.flush(10) == 0
        self.topics[topic] = PARTITIONS

    def commit(self, group: str, topic: str, offsets: list[int], note: str = "") -> None:
        reader = self.clients.reader(**{"group.id": group})
        reader.commit(
            offsets=[TopicPartition(topic, n, offset, note) for n, offset in enumerate(offsets)], asynchronous=False
        )
        reader.close()

    def ends(self, topic: str) -> list[int]:
        return [each.end for each in LiveTopic(self.clients, topic).look("nobody", PARTITIONS)]

    def replayed(self, topic: str) -> list[list[list[tuple[str, bytes]]]]:
        """The headers of every record, by partition."""
        reader = self.clients.reader()
        logs = []
        for number in range(PARTITIONS):
            reader.assign([TopicPartition(topic, number, 0)])
            log = []
            while (message := reader.poll(10)) is not None and message.error() is None:
                log.append(message.headers())
            logs.append(log)
        reader.close()
        return logs


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    mock = Cluster()
    monkeypatch.setattr(LiveTopic, "partitions", lambda self, region: PARTITIONS)
    monkeypatch.setattr(ReplayTopic, "partitions", lambda self: mock.topics.get(self.topic))

    def create(self: ReplayTopic, spec: Any, *, read_by: str) -> None:
        assert read_by == "orders.warehouse.replay"
        mock.clients.producer().list_topics(self.topic, timeout=10)  # a producer's question makes it
        mock.topics[self.topic] = spec.partitions

    monkeypatch.setattr(ReplayTopic, "create", create)
    monkeypatch.setattr(ReplayTopic, "delete", lambda self: mock.topics.pop(self.topic))
    monkeypatch.setattr(module, "ObjectStore", lambda client, bucket: archive())
    monkeypatch.setattr(module, "WAIT_POLL_S", 0.05)
    return mock


def archive() -> MemoryStore:
    """All changes but the ordinal 40, which only a range that reaches so far misses."""
    store = MemoryStore()
    sink = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    _, writer = sink.open(Partition("c", "t", "orders", 0), 0)
    for n, each in enumerate(CHANGES):
        if n != 40:
            key = each.key.encode()
            writer.add([StoredRecord("orders", 0, n, key, each.value, each.headers(), 1, each.at_ms)])
    writer.flush()
    return store


def config(cluster: Cluster) -> FeedConfig:
    region = {
        "kafka": {"bootstrap_servers": cluster.bootstrap},
        "aws": {"region": "eu-west-1", "access_key_id": "a", "secret_access_key": "b"},
        "replication_factor": 1,
        "min_insync_replicas": 1,
    }
    raw = {
        "feed": "orders",
        "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "regions": {"eu": region},
        "replay": {"batch_records": 10, "rate_per_s": 1_000_000},
        "consumers": {
            "warehouse": {"kind": "warehouse", "region": "eu"},
            "archive": {"kind": "archive", "region": "eu", "sink": {"bucket": "archive"}},
        },
    }
    return parse_config(yaml.safe_dump(raw), variables={})


def replayer(cluster: Cluster, at: Any = lambda point: None) -> Replayer:
    settings = config(cluster)
    return Replayer(request_of(settings, "warehouse"), settings.replay, progress=lambda what, done, total: None, at=at)


def dies_at(point: str, times: int) -> Any:
    left = [times]

    def at(passed: str) -> None:
        if passed == point:
            left[0] -= 1
            if not left[0]:
                raise Died

    return at


TO_MS = START_MS + 2_000 * 30
"""Thirty changes lie before it."""


def test_from_the_first_check_to_the_deleted_topic(cluster: Cluster) -> None:
    """Counted, sent, killed, gone on with, waited for, deleted: each change once, and what it vouches for."""
    cluster.publish("orders", CHANGES)
    cluster.commit("orders.archive", "orders", cluster.ends("orders"))
    asked = Range(START_MS, TO_MS)
    counts, gaps = replayer(cluster).dry_run(asked)
    assert (counts.records, counts.by_op, gaps) == (30, {"u": 30}, [])
    assert cluster.topics.keys() == {"orders"}
    with pytest.raises(Died):
        replayer(cluster, dies_at("after-commit", 2)).send(asked)
    with pytest.raises(ConfigError, match="20 of 30 changes are sent"):
        replayer(cluster).send(asked)
    with pytest.raises(ConfigError, match="of another range"):
        replayer(cluster).send(Range(START_MS, TO_MS + 1), resume=True)
    with pytest.raises(ConfigError, match="is not sent whole"):
        replayer(cluster).finish()
    state = replayer(cluster).send(Range(), resume=True)
    assert (state.sent, state.ended) == (30, True)
    with pytest.raises(ConfigError, match=r"is not read whole by orders.warehouse.replay"):
        replayer(cluster).finish()
    found = []
    for number, log in enumerate(cluster.replayed("orders.replay.warehouse")):
        begin, *between, end = log
        marker = marker_of(end)
        assert marker is not None
        assert (marker.kind, marker.count, marker.from_ms, marker.to_ms) == ("end", len(between), START_MS, TO_MS)
        assert marker_of(begin).until == marker.until <= cluster.ends("orders")[number]
        found += [facts_of(headers).sequence for headers in between]
    assert sorted(found) == list(range(1, 31))
    cluster.commit("orders.warehouse.replay", "orders.replay.warehouse", [10_000] * PARTITIONS)
    assert replayer(cluster).wait().sent == 30
    assert cluster.topics.keys() == {"orders"}
    with pytest.raises(ConfigError, match="no replay for warehouse"):
        replayer(cluster).abort()


def test_what_is_not_archived_is_refused(cluster: Cluster) -> None:
    """A missing ordinal, a part that the archive has not stored, an empty range; with gaps accepted it is sent."""
    cluster.publish("orders", CHANGES)
    cluster.commit("orders.archive", "orders", [max(0, end - 1) for end in cluster.ends("orders")])
    with pytest.raises(ConfigError, match="lacks ordinals 40 of shardId-1"):
        replayer(cluster).send(Range(START_MS, START_MS + 2_000 * 45))
    with pytest.raises(ConfigError, match="the archive reaches up to 2025-11-24T16:0"):
        replayer(cluster).send(Range(START_MS, time.time_ns() // 1_000_000))
    with pytest.raises(ConfigError, match="the range is empty"):
        replayer(cluster).send(Range(TO_MS, START_MS))
    with pytest.raises(ConfigError, match=r"no --from is given, and orders.warehouse lacks nothing"):
        replayer(cluster).send(Range())
    with pytest.raises(ConfigError, match="to go on with"):
        replayer(cluster).send(Range(), resume=True)
    assert cluster.topics.keys() == {"orders"}
    state = replayer(cluster).send(Range(START_MS, START_MS + 2_000 * 45), accept_gaps=True)
    assert state.sent == 44
    replayer(cluster).abort()


def test_what_is_not_archived_yet_is_not_vouched_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """With gaps accepted a range may reach beyond the archive: what it vouches for ends where the archive does."""
    asked_ms = []

    def until(self: LiveTopic, to_ms: int, live: list[LivePartition], *, looked_ms: int) -> list[int]:
        asked_ms.append(to_ms)
        return [0] * len(live)

    monkeypatch.setattr(LiveTopic, "until", until)
    cluster.publish("orders", CHANGES)
    cluster.commit("orders.archive", "orders", [0] * PARTITIONS)
    replayer(cluster).send(Range(START_MS - 1, time.time_ns() // 1_000_000), accept_gaps=True)
    assert asked_ms == [START_MS]  # the first change, which it has not stored
    replayer(cluster).abort()


def test_an_archive_that_is_not_filled_is_told(cluster: Cluster) -> None:
    """Where the archive's group has no commit, nobody knows how far the archive reaches."""
    cluster.publish("orders", CHANGES)
    with pytest.raises(ConfigError, match=r"orders.archive, which fills the archive, has committed nothing"):
        replayer(cluster).send(Range(START_MS))


def test_where_the_group_stands_is_noted_with_its_commits(cluster: Cluster) -> None:
    """What a commit notes comes back with the group's offsets, and an older client's commit has no note."""
    cluster.publish("orders", CHANGES)
    cluster.commit("orders.warehouse", "orders", [1] * PARTITIONS, commit_note(START_MS))
    assert {each.written_ms for each in LiveTopic(cluster.clients, "orders").look("orders.warehouse", 4)} == {START_MS}
    cluster.commit("orders.warehouse", "orders", [2] * PARTITIONS)
    assert {each.written_ms for each in LiveTopic(cluster.clients, "orders").look("orders.warehouse", 4)} == {None}
