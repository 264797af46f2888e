"""Feeds that idle past their topic's retention, on a real broker whose cleaner runs every second: no false gap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from prometheus_client import CollectorRegistry

from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.runtime import KafkaBroker, RuntimeSettings, consumer
from consumers.runtime.build import wall_clock_ms
from feed.local import Broker, Site
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.testing import create_topics, until
from schemas import bundled
from schemas.change import Change
from schemas.headers import headers_of
from tests.unit.analytics.loading import CODEC, change, prepared
from tests.unit.consumers.consumer_contract import FAST, WAIT_S
from tests.unit.memory_store import InlineExecutor, MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def cleaning_broker(local_site: Site) -> Iterator[Broker]:
    """A broker that looks every second for what is past its time."""
    every = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}
    settings = local_site.settings
    java = require_java(install=settings.install_missing)
    broker = Broker("cleaning", local_site, java=java, jars=kafka_jars(settings), properties=every)
    broker.start()
    broker.wait_ready()
    yield broker
    broker.finish()


@dataclass
class Recorder:
    """A record sink that counts."""

    name: str = "recorder"
    seen: list[int] = field(default_factory=list)

    def handle(self, change: Change) -> None:
        self.seen.append(change.source.ordinal)


class Feed:
    """A topic of one partition, and every kind of sink on it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="test")
        create_topics(bootstrap, {topic: 1}, settings={"retention.ms": "-1", "segment.ms": "1000"})
        self.admin = self.clients.admin()  # kept: futures of a client that is gone never end
        self.producer = self.clients.transactional_producer(f"{topic}.test")
        self.producer.init_transactions(WAIT_S)
        self.reader = self.clients.reader(**{"group.id": "onlooker"})
        self.store = MemoryStore()
        self.warehouse = MemoryWarehouse(self.store)
        self.recorder = Recorder()

    def write(self, number: int, *, commit: bool = True) -> None:
        """One change in a transaction of its own, committed or aborted."""
        what = change(number, f"o-{number}", sequence=number + 1)
        self.producer.begin_transaction()
        self.producer.produce(self.topic, CODEC.encode(what), b"k", headers=[*headers_of(what)])
        assert self.producer.flush(WAIT_S) == 0
        if commit:
            self.producer.commit_transaction(WAIT_S)
        else:
            self.producer.abort_transaction(WAIT_S)

    def keep_for(self, retention_ms: int) -> None:
        """How long records live from now on; -1: for ever."""
        short = ConfigEntry("retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.topic, incremental_configs=[short])
        self.admin.incremental_alter_configs([resource])[resource].result(WAIT_S)

    def span(self) -> tuple[int, int]:
        """Earliest offset and end."""
        found = self.reader.get_watermark_offsets(TopicPartition(self.topic, 0), timeout=WAIT_S)
        assert found is not None
        return found

    def sinks(self) -> dict[str, Any]:
        """Each kind, as a new process makes it."""
        registry, redshift = CollectorRegistry(), self.warehouse.connect()[0]
        analytics = AnalyticsSink(
            self.store,
            redshift,
            image=bundled.load("order"),
            decode=CODEC.decode,
            settings=AnalyticsSettings(bucket="memory", interval_ms=200),
            registry=registry,
            now_ms=wall_clock_ms,
            executor=InlineExecutor(),
        )
        archive = ArchiveSink(
            self.store, ArchiveSettings(bucket="memory", open_ms=1_000), registry=registry, now_ms=wall_clock_ms
        )
        return {"analytics": analytics, "archive": archive, "recorder": self.recorder}

    def committed(self, kind: str) -> int:
        """The offset that a group has committed."""
        reader = self.clients.reader(**{"group.id": f"{self.topic}.{kind}"})
        (found,) = reader.committed([TopicPartition(self.topic, 0)], timeout=WAIT_S)
        reader.close()
        return int(found.offset)

    def ledger(self) -> int:
        """The next offset in the warehouse; -1 before there is one."""
        if not prepared(self.warehouse):
            return -1
        rows = self.warehouse.rows("SELECT next_offset FROM public.load_ledger")
        return int(rows[0]["next_offset"]) if rows else -1


class Running:
    """A consumer of each kind, on a thread of its own."""

    def __init__(self, feed: Feed) -> None:
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(feed, sink)) for sink in feed.sinks().values()]

    def _run(self, feed: Feed, sink: Any) -> None:
        settings = RuntimeSettings(**FAST)
        runner = consumer(
            sink,
            topic=feed.topic,
            group=f"{feed.topic}.{sink.name}",
            broker=KafkaBroker(feed.clients, settings),
            decode=CODEC.decode,
            time_of=lambda found: found.occurred_at_ms,
            settings=settings,
            telemetry=Telemetry(sink.name),
            stop=self.stop,
        )
        try:
            runner.run_forever()
        except BaseException as error:  # noqa: BLE001 (the test judges it)
            self.errors.append(error)

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(WAIT_S)
        assert self.errors == []


def test_idle_past_retention_is_no_gap(cleaning_broker: Broker, unique_name: Callable[[str], str]) -> None:
    """Everything is read, markers and an aborted transaction follow, retention deletes it all: every kind goes on."""
    feed = Feed(cleaning_broker.bootstrap, unique_name("orders"))
    with Running(feed) as running:
        for number in range(3):
            feed.write(number)
        feed.write(99, commit=False)
        end = 8  # four records, each with a marker; a marker may come after the commit's answer
        until(lambda: feed.span()[1] == end, "the last marker")
        for kind in ("analytics", "archive", "recorder"):
            until(lambda kind=kind: running.errors or feed.committed(kind) == end, f"the commit of {kind}")  # type: ignore[misc]
        until(lambda: running.errors or feed.ledger() == end, "the ledger behind the last marker")
        feed.keep_for(1_000)
        until(lambda: feed.span() == (end, end), "retention has deleted everything while they run")
    feed.keep_for(-1)
    with Running(feed) as running:
        feed.write(3)
        until(lambda: running.errors or feed.ledger() == end + 2, "the change after the pause is loaded")
        until(lambda: running.errors or feed.committed("recorder") == end + 2, "and handled")
    assert feed.recorder.seen == [0, 1, 2, 3]
    rows = feed.warehouse.rows("SELECT feed_ordinal AS o FROM public.orders_history ORDER BY feed_ordinal")
    assert [row["o"] for row in rows] == [0, 1, 2, 3]
    feed.warehouse.engine.close()
