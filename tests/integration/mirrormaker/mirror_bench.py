"""Two clusters of one broker, and MirrorMaker or a Connect worker between them, of any version and with any file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource
from prometheus_client import CollectorRegistry

from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Checks
from feed.local import Broker, LocalSettings, Site
from feed.local.jars import COPY_GOAL, Jars, kafka_jars
from feed.local.java_part import JVM, JavaPart
from feed.local.tools import require_java, require_maven
from feed.testing import create_topics
from mirrormaker import LOCAL_PACE, Cluster, Flow
from mirrormaker.audit import Audit, AuditMetrics, AuditVerdict, GapWriter, Side

MAVEN_WITHIN_S = 300
GROOVY_WITHIN_S = 120
QUICK_TO_DELETE = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}
"""Retention is looked at every second, not every five minutes."""


class JavaMain(JavaPart):
    """Any main class of Kafka's jars as a part.

    Ready when its log has a line, or when it ended where that is allowed.
    """

    def __init__(self, name: str, site: Site, *, jars: Jars, main: Sequence[str], ready: bytes) -> None:
        java = require_java(install=site.settings.install_missing)
        super().__init__(name, site, java=java, jars=jars, heap_mib=384)
        self._main = tuple(main)
        self._ready = ready

    @property
    def addresses(self) -> Mapping[str, str]:
        return {}

    def main(self) -> Sequence[str]:
        return self._main

    def is_ready(self) -> bool:
        return self._ready in self.log()

    def log(self) -> bytes:
        return self.log_path.read_bytes() if self.log_path and self.log_path.exists() else b""

    def wait_for(self, text: bytes, within_s: float = 120.0) -> None:
        """Returns when the log has a text.

        Raises:
            AssertionError: it has not, within the bound.
        """
        deadline = time.monotonic() + within_s
        while text not in self.log():
            assert time.monotonic() < deadline, f"{text!r} not in the log:\n{self.log()[-4000:].decode()}"
            time.sleep(0.1)


class MirrorBench:
    """Brokers eu and us; ``flow()`` between them; ``mirror()`` runs a file on a Kafka version."""

    def __init__(self, site: Site) -> None:
        java = require_java(install=site.settings.install_missing)
        self.site = site
        self._brokers = {
            region: Broker(f"mm-{region}", site, java=java, jars=kafka_jars(site.settings), properties=QUICK_TO_DELETE)
            for region in ("eu", "us")
        }
        for broker in self._brokers.values():
            broker.start()
        for broker in self._brokers.values():
            broker.wait_ready()

    def close(self) -> None:
        for broker in self._brokers.values():
            broker.finish()

    def kill(self, region: str) -> None:
        """SIGKILL a region's broker."""
        self._brokers[region].kill()

    def bootstrap(self, region: str) -> str:
        return self._brokers[region].bootstrap

    def flow(self, feed: str) -> Flow:
        """A flow that copies one feed, quickly."""
        clusters = [Cluster(region, self.bootstrap(region), replication_factor=1) for region in ("eu", "us")]
        return Flow(clusters[0], clusters[1], (feed,), pace=replace(LOCAL_PACE, refresh_topics_interval_s=2))

    def create(self, feed: str) -> None:
        for region in ("eu", "us"):
            create_topics(
                self.bootstrap(region), {feed: 2, f"{feed}.control": 1}, settings={"max.message.bytes": "4300000"}
            )

    def mirror(
        self, name: str, properties: str, *, version: str = "4.3.1", targets: Sequence[str] = ("us",)
    ) -> JavaMain:
        """MirrorMaker's own process on a file, started, for these targets."""
        file = self.site.state_of(name) / "mm2.properties"
        file.write_text(properties)
        main = ("org.apache.kafka.connect.mirror.MirrorMaker", str(file), "--clusters", *targets)
        jars = kafka_jars(LocalSettings(kafka_version=version))
        part = JavaMain(name, self.site, jars=jars, main=main, ready=b"MirrorMaker started")
        part.start()
        return part

    def worker(self, name: str, properties: str) -> JavaMain:
        """A Connect worker on a file, started."""
        file = self.site.state_of(name) / "worker.properties"
        file.write_text(properties)
        main = ("org.apache.kafka.connect.cli.ConnectDistributed", str(file))
        part = JavaMain(name, self.site, jars=kafka_jars(self.site.settings), main=main, ready=b"Kafka Connect started")
        part.start()
        return part

    def produce(self, topic: str, values: Sequence[bytes], *, abort: bool = False, region: str = "eu") -> None:
        """One transaction."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap(region),
                "transactional.id": f"{topic}-test",
                "message.max.bytes": 4_300_000,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, key=str(crc32(value) % 7).encode(), headers=[("ce_id", value[:8])])
        producer.flush(30)
        producer.abort_transaction(30) if abort else producer.commit_transaction(30)

    def copies(self, topic: str, count: int, within_s: float = 60.0) -> list[bytes]:
        """Values of the first ``count`` copies in us, fewer when they do not come within the bound."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap("us"),
                "group.id": f"{topic}-reader-{time.monotonic_ns()}",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": 5_000_000,
            }
        )
        consumer.subscribe([topic])
        values: list[bytes] = []
        deadline = time.monotonic() + within_s
        while len(values) < count and time.monotonic() < deadline:
            values += [
                value for message in consumer.consume(500, 0.5) if (value := message.value()) and not message.error()
            ]
        consumer.close()
        return values

    def headers(self, region: str, topic: str) -> list[tuple[str, bytes]]:
        """Headers of the first committed record of any partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap(region),
                "group.id": f"{topic}-headers-{time.monotonic_ns()}",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([topic])
        deadline = time.monotonic() + 30
        message = None
        while message is None and time.monotonic() < deadline:
            message = consumer.poll(0.5)
        consumer.close()
        assert message is not None
        return [(name, bytes(value)) for name, value in message.headers()]

    def topic_setting(self, region: str, topic: str, key: str) -> str:
        """A topic's effective setting."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap(region)})
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return str(admin.describe_configs([resource])[resource].result(20)[key].value)

    def marks(self, region: str, topic: str) -> list[tuple[int, int]]:
        """First offset, and the one after the last written one (in an open transaction, too), of each partition."""
        asker = Consumer(
            {"bootstrap.servers": self.bootstrap(region), "group.id": "asker", "isolation.level": "read_uncommitted"}
        )
        count = len(asker.list_topics(topic, timeout=20).topics[topic].partitions)
        marks = [asker.get_watermark_offsets(TopicPartition(topic, number), timeout=20) for number in range(count)]
        asker.close()
        return marks

    def trim(self, region: str, topic: str) -> None:
        """Delete every record that a topic holds now, as retention does."""
        ends = [TopicPartition(topic, number, end) for number, (_, end) in enumerate(self.marks(region, topic))]
        admin = AdminClient({"bootstrap.servers": self.bootstrap(region)})
        for answer in admin.delete_records(ends).values():
            answer.result(20)

    def topics(self, region: str) -> set[str]:
        return set(AdminClient({"bootstrap.servers": self.bootstrap(region)}).list_topics(timeout=10).topics)


def feed_yaml(bench: MirrorBench, feed: str, folder: Path, **mirror: str) -> Path:
    """A ``feed.yaml`` of the bench's regions, for commands."""
    document = {
        "feed": feed,
        "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "regions": {
            region: {"kafka": {"bootstrap_servers": bench.bootstrap(region)}, "aws": {"region": region}}
            for region in ("eu", "us")
        },
        "mirrors": [{"target": "us", **mirror}],
    }
    file = folder / "feed.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def resolve_jars(pom: str, folder: Path) -> Jars:
    """Jars of a pom's text, by Maven."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pom.xml").write_text(pom)
    command = [str(require_maven(install=True)), "-q", "-B", "-f", str(folder / "pom.xml"), COPY_GOAL]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return Jars(folder / "jars")


def pom(*artifacts: str) -> str:
    """A pom that asks for ``group:artifact:version``."""
    dependencies = "".join(
        ""
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in (artifact.split(":") for artifact in artifacts)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>t</groupId>'
        f"<artifactId>t</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>"
    )


GroovyRunner = Callable[..., str]


def run_groovy(script: Path, *arguments: str, groovy: Jars, jars: Jars, java: Path | None = None) -> str:
    """What a Groovy script prints, with the classes of other jars at hand; needs a JRE only."""
    java = java or require_java(install=True).path
    classes = f"{groovy.class_path}:{jars.class_path}"
    command = [str(java), *JVM, "-Xmx256m", "-cp", classes, "groovy.ui.GroovyMain", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GROOVY_WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def clients_of(bench: MirrorBench, region: str) -> KafkaClients:
    """The factory of a region's clients."""
    return KafkaClients(KafkaSettings(bootstrap_servers=bench.bootstrap(region)), client_id="test")


def now_ms() -> int:
    return int(time.monotonic() * 1000)


class Auditor:
    """An audit of one topic between the bench's clusters."""

    def __init__(
        self,
        bench: MirrorBench,
        *topics: str,
        state_file: Path | None = None,
        stall_after_ms: int = 60_000,
        findings: GapWriter | None = None,
    ) -> None:
        self.health = Checks()
        sides = [Side(region, clients_of(bench, region)) for region in ("eu", "us")]
        self.sides = sides
        self.audit = Audit(
            "eu->us",
            sides[0],
            sides[1],
            topics,
            now_ms=now_ms,
            clock_ms=lambda: time.time_ns() // 10**6,
            metrics=AuditMetrics(CollectorRegistry()),
            health=self.health,
            stall_after_ms=stall_after_ms,
            state_file=state_file,
            findings=findings,
        )

    def once(self, settle_ms: int = 3_000) -> AuditVerdict:
        try:
            return self.audit.run_once(settle_ms=settle_ms)
        finally:
            self.close()

    def until(self, condition: Callable[[AuditVerdict], bool], within_s: float = 30.0) -> AuditVerdict:
        deadline = time.monotonic() + within_s
        while not condition(self.audit.verdict()) and time.monotonic() < deadline:
            self.audit.step()
        return self.audit.verdict()

    @property
    def healthy(self) -> bool:
        return all(check.ok for check in self.health.read().values())

    def close(self) -> None:
        for side in self.sides:
            side.close()
