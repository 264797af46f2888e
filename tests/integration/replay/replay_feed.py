"""A feed with an archive, a warehouse and notifications in one region, for the tests of the replay."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Message, TopicPartition
from rich.console import Console
from typer.testing import CliRunner

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.kafka import KafkaClients
from connectors.s3 import BucketSpec, ensure_bucket
from connectors.telemetry import Telemetry
from consumers.notification import KEY as NOTIFICATION_KEY
from consumers.warehouse import KEY
from feed.cli import app
from feed.cli.errors import report
from feed.config import FeedConfig, parse_config
from feed.local import DynamoDbLocal, ObjectStore
from feed.replay.live import committed_of
from feed.run.consumer import run_consumer
from feed.run.process import Process
from feed.run.topics import apply_topics
from feed.testing import until
from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.errors import FeedError
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import FAST, WAIT_S

CODEC = ChangeCodec.for_image(bundled.load("order"))
PARTITIONS = 2
ROOT = Path(__file__).parents[3]


class Running:
    """A consumer of the feed on a thread."""

    def __init__(self, config: FeedConfig, name: str) -> None:
        self.process = Process(f"{config.feed}-{name}", Telemetry(name))
        self.error: BaseException | None = None
        self._config, self._name = config, name
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            run_consumer(self._config, self._name, self.process)
        except BaseException as error:  # noqa: BLE001 - the test judges it
            self.error = error

    def stop(self) -> None:
        self.process.stop.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the consumer did not stop"

    def failed(self) -> BaseException:
        self._thread.join(WAIT_S)
        assert self.error is not None, "the consumer did not stop by itself"
        return self.error


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    output: str


@dataclass
class ReplayFeed:
    """The feed, the command on its configuration, and its parts."""

    config: FeedConfig
    file: Path
    kafka: KafkaClients
    picks: EffectTable
    posts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.config.feed

    def run(self, *words: str) -> Ended:
        """The command as a person would see it end."""
        ended = CliRunner().invoke(app, ["replay", *words, "-c", str(self.file)])
        if not isinstance(ended.exception, FeedError):
            assert ended.exception is None or isinstance(ended.exception, SystemExit), repr(ended.exception)
            return Ended(ended.exit_code, ended.output)
        said = io.StringIO()
        code = report(ended.exception, Console(file=said, width=1_000))
        return Ended(code, said.getvalue())

    def publish(self, changes: Iterable[Change], *more: tuple[str, bytes], topic: str = "") -> None:
        """As the producer does: a transaction, the event's time, the key's partition."""
        producer = self.kafka.transactional_producer(f"{self.name}.test")
        producer.init_transactions(WAIT_S)
        producer.begin_transaction()
        for each in changes:
            producer.produce(
                topic or self.name,
                CODEC.encode(each),
                each.key["orderId"]["S"].encode(),
                headers=[*headers_of(each), *more],
                timestamp=each.occurred_at_ms,
            )
        producer.commit_transaction(WAIT_S)

    @contextmanager
    def consumer(self, name: str) -> Iterator[Running]:
        running = Running(self.config, name)
        try:
            yield running
        finally:
            running.stop()

    def caught_up(self, name: str, topic: str = "") -> bool:
        """Whether a consumer has committed all of a topic."""
        group = f"{self.name}.{name}" + (".replay" if topic else "")
        read = committed_of(self.kafka, group, topic or self.name, PARTITIONS)
        return read == [high for _, high in self.spans(topic)]

    def spans(self, topic: str = "") -> list[tuple[int, int]]:
        reader = self.kafka.reader()
        try:
            return [
                reader.get_watermark_offsets(TopicPartition(topic or self.name, n), timeout=WAIT_S) or (0, 0)
                for n in range(PARTITIONS)
            ]
        finally:
            reader.close()

    def archive_all(self) -> None:
        """Run the archive until it holds everything."""
        with self.consumer("archive"):
            until(lambda: self.caught_up("archive"), "the archive to hold everything")

    def trim(self, lows: Iterable[int]) -> None:
        """Let retention delete."""
        admin = self.kafka.admin()
        places = [TopicPartition(self.name, number, low) for number, low in enumerate(lows)]
        for answer in admin.delete_records(places).values():
            answer.result(WAIT_S)

    def replayed(self, topic: str) -> list[list[Message]]:
        """Every committed record of a replay's topic, by partition."""
        reader = self.kafka.reader()
        found: list[list[Message]] = []
        for number in range(PARTITIONS):
            reader.assign([TopicPartition(topic, number, 0)])
            log: list[Message] = []
            while (message := reader.poll(WAIT_S)) is not None and message.error() is None:
                log.append(message)
            found.append(log)
        reader.close()
        return found

    def pick(self, order: str) -> dict[str, Any]:
        item = self.picks.get({KEY: {"S": order}}, consistent=True)
        return {} if item is None else {name: next(iter(value.values())) for name, value in item.items()}

    def command(self, *words: str, die_at: str = "", times: int = 1) -> int:
        """The command in a process of its own, killed when it comes by a named point so many times; its exit code."""
        told = json.dumps({"file": str(self.file), "point": die_at, "times": times, "words": list(words)})
        module = [sys.executable, "-m", "tests.integration.replay.replay_process", told]
        return subprocess.run(module, cwd=ROOT, timeout=120, check=False).returncode


def make_feed(
    name: str, bootstrap: str, dynamodb: DynamoDbLocal, s3: ObjectStore, folder: Path, *, webhook: str
) -> ReplayFeed:
    """A feed of two partitions whose parts are quick."""
    aws = {
        "region": "eu-west-1",
        "endpoints": {"dynamodb": dynamodb.endpoint, "s3": s3.endpoint},
        "access_key_id": s3.access_key_id,
        "secret_access_key": s3.secret_access_key,
    }
    runtime = {key: value for key, value in FAST.items() if key != "session_timeout_ms"}
    runtime["replay_look_interval_ms"] = 200
    messenger = {"kind": "webhook", "url": webhook, "secret": "secret"}
    raw = {
        "feed": name,
        "table": {"name": name, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "topic": {"partitions": PARTITIONS},
        "regions": {
            "eu": {
                "kafka": {"bootstrap_servers": bootstrap},
                "aws": aws,
                "replication_factor": 1,
                "min_insync_replicas": 1,
                "retention_hours": 24 * 365 * 10,  # the tests let it lapse themselves
            }
        },
        "replay": {"batch_records": 25, "rate_per_s": 100_000},
        "consumers": {
            "warehouse": {
                "kind": "warehouse",
                "region": "eu",
                "runtime": runtime,
                "sink": {"table": name, "keep_history": 1_000},
            },
            "archive": {
                "kind": "archive",
                "region": "eu",
                "runtime": runtime,
                "sink": {"bucket": name, "open_ms": 100, "grace_ms": 0},
            },
            "notification": {
                "kind": "notification",
                "region": "eu",
                "runtime": runtime,
                "sink": {"messenger": messenger, "table": f"{name}-told", "rate_per_s": 1_000},
            },
        },
    }
    file = folder / "feed.yaml"
    file.write_text(yaml.safe_dump(raw))
    config = parse_config(file.read_text(), variables={})
    clients = AwsClients(config.source.aws)
    ensure_bucket(clients.client("s3"), BucketSpec(name, "eu-west-1"))
    table = clients.client("dynamodb")
    create_effect_table(table, name, KEY)
    create_effect_table(table, f"{name}-told", NOTIFICATION_KEY)
    apply_topics(config)
    return ReplayFeed(config, file, KafkaClients(config.source.kafka, client_id="test"), EffectTable(table, name))
