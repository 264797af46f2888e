"""The drill: eu is killed, its groups go on in us by `feed mirror failover`; what is read again, lost and doubled."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from moto import mock_aws
from typer.testing import CliRunner

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.messaging import Message
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from connectors.telemetry import Telemetry
from consumers.archive import ArchiveSettings, ArchiveSink, read_archive
from consumers.audit import AuditSettings, AuditSink
from consumers.audit import read_chain as read_audit
from consumers.notification import KEY, NotificationSettings, NotificationSink, SendRate
from consumers.runtime import KafkaBroker, Partition, RuntimeSettings, consumer, time_of
from feed.cli.mirror import app
from feed.local import ObjectStore as S3Server
from feed.testing import create_topics, until
from mirrormaker import render_dedicated
from mirrormaker.failover import ask
from mirrormaker.failover.asking import committed_offsets
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from tests.integration.mirrormaker.mirror_bench import MirrorBench, feed_yaml
from tests.unit.order_changes import life

pytestmark = pytest.mark.faults

CODEC = ChangeCodec.for_image(bundled.load("order"))
GROUPS = ("notification", "audit", "archive")
RUNTIME = RuntimeSettings(commit_interval_ms=200, session_timeout_ms=6_000, in_flight=8)
RATE = 80
"""Changes a second: the notification group must keep up, or its offsets are translated coarsely, if at all."""


@dataclass
class Outbox:
    """A messenger that remembers."""

    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> str:
        self.sent.append(message)
        return f"m-{len(self.sent)}"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Estate:
    """The three consumers' stores, and consumers of any region on them."""

    def __init__(self, bench: MirrorBench, feed: str, store: ObjectStore, table: EffectTable) -> None:
        self._bench, self._feed, self._store, self._table = bench, feed, store, table
        self.outbox = Outbox()
        self.identities = {region: self._identity(region) for region in ("eu", "us")}

    def clients(self, region: str) -> KafkaClients:
        return KafkaClients(KafkaSettings(bootstrap_servers=self._bench.bootstrap(region)), client_id=f"drill-{region}")

    def _identity(self, region: str) -> tuple[str, str]:
        found = KafkaBroker(self.clients(region), RUNTIME).identify(self._feed, 10)
        return found.cluster_id, found.topic_id

    @contextmanager
    def consumers(self, region: str) -> Iterator[None]:
        """All three groups in a region, until the block is left."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._consume, args=(name, region, stop)) for name in GROUPS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads)

    def _consume(self, name: str, region: str, stop: threading.Event) -> None:
        telemetry = Telemetry(f"{name}-{region}")
        running = consumer(
            self._sink(name, telemetry),
            topic=self._feed,
            group=f"{self._feed}.{name}",
            broker=KafkaBroker(self.clients(region), RUNTIME),
            decode=CODEC.decode,
            time_of=time_of("updatedAt"),
            settings=RUNTIME,
            telemetry=telemetry,
            stop=stop,
        )
        running.run_forever()

    def _sink(self, name: str, telemetry: Telemetry) -> Any:
        shared: dict[str, Any] = {"registry": telemetry.registry, "now_ms": wall_ms}
        match name:
            case "audit":
                settings = AuditSettings(bucket=self._store.bucket, segment_ms=300, retention_days=1)
                return AuditSink(self._store, settings, **shared)
            case "archive":
                archive = ArchiveSettings(bucket=self._store.bucket, grace_ms=0, open_ms=1_000)
                return ArchiveSink(self._store, archive, **shared)
        notification = NotificationSettings.model_validate(
            {"messenger": {"kind": "ses", "sender": "shop@example.org"}, "table": "notifications"}
        )
        rate = SendRate(1_000_000, monotonic=time.monotonic, sleep=time.sleep)
        return NotificationSink(self._feed, self._table, self.outbox, notification, rate=rate, **shared)

    def held(self, name: str, region: str) -> Counter[str]:
        """Event ids in a store of the objects that were made from a region's topic: one lineage."""
        cluster_id, topic_id = self.identities[region]
        partitions = [Partition(cluster_id, topic_id, self._feed, number) for number in range(2)]
        read: Callable[..., Any] = read_audit if name == "audit" else read_archive
        return Counter(
            dict(record.headers())["ce_id"].decode()
            for partition in partitions
            for record in read(self._store, name, partition)
        )


class Producing:
    """Orders live in eu, in transactions, until eu is gone; knows what was committed."""

    def __init__(self, clients: KafkaClients, feed: str) -> None:
        self._producer = clients.transactional_producer(f"{feed}-drill", **{"message.timeout.ms": 4_000})
        self._producer.init_transactions(20)
        self._feed = feed
        self.committed: set[str] = set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        orders = 0
        try:
            while True:
                began = time.monotonic()
                sent = self._transaction(orders)
                self.committed |= sent
                orders += RATE // 40
                time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))  # the pace of the workload
        except KafkaException:
            return  # eu is gone; whether its last transaction counts, only eu knows

    def _transaction(self, first: int) -> set[str]:
        sent = set()
        self._producer.begin_transaction()
        for number in range(first, first + RATE // 40):
            for change in life("created", "paid", "packed", "shipped", order_id=f"o-{number}", base=100 * number):
                one = replace(change, occurred_at_ms=wall_ms(), captured_at_ms=wall_ms())
                key = one.key["orderId"]["S"].encode()
                self._producer.produce(self._feed, CODEC.encode(one), key, headers=headers_of(one))
                sent.add(one.source.event_id)
        self._producer.commit_transaction(5)
        return sent

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def bench(local_site: Any) -> Iterator[MirrorBench]:
    made = MirrorBench(local_site)
    yield made
    made.close()


@pytest.fixture
def estate(bench: MirrorBench, s3_server: S3Server, unique_name: Callable[[str], str]) -> Iterator[tuple[str, Estate]]:
    feed = unique_name("orders")
    bench.create(feed)
    for region in ("eu", "us"):
        create_topics(bench.bootstrap(region), {f"{feed}.{name}.dead-letter": 1 for name in GROUPS})
    aws = AwsSettings.model_validate(
        {
            "region": "eu-west-1",
            "endpoints": {"s3": s3_server.endpoint},
            "access_key_id": s3_server.access_key_id,
            "secret_access_key": s3_server.secret_access_key,
        }
    )
    client = AwsClients(aws).client("s3")
    bucket = unique_name("drill")
    ensure_bucket(client, BucketSpec(bucket, "eu-west-1", object_lock=True))
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
        create_effect_table(dynamodb, "notifications", KEY)
        yield feed, Estate(bench, feed, ObjectStore(client, bucket), EffectTable(dynamodb, "notifications"))


def test_eu_is_killed_and_its_groups_go_on_in_us(
    bench: MirrorBench, estate: tuple[str, Estate], tmp_path: Path
) -> None:
    """Re-reads stay within the bound that the plan tells, nothing that was copied is lost, no customer hears twice."""
    feed, stores = estate
    flow = bench.flow(feed)
    file = feed_yaml(bench, feed, tmp_path)
    part = bench.mirror(f"mirror-{feed}", render_dedicated(flow))
    try:
        with stores.consumers("eu"):
            producing = Producing(stores.clients("eu"), feed)
            until(
                lambda: len(_checkpointed(stores, flow)) == 2 * len(GROUPS),
                lambda: f"{_committed(stores, feed, 'eu')} {ask(flow, stores.clients('us'), now_ms=wall_ms)}",
            )
            refused = _failover(file, code=1)
            assert (refused["done"], "eu answers" in refused["faults"][0]) == (False, True)
            bench.kill("eu")
        producing.join()
    finally:
        part.finish()
    held = _copies(stores, feed)
    copied = held.events
    done_in_eu = {name: stores.held(name, "eu") for name in ("audit", "archive")}
    told_in_eu = len(stores.outbox.sent)

    plan = _failover(file, "--apply")
    assert (plan["done"], plan["faults"]) == (True, [])
    bounds = {group["group"].rpartition(".")[2]: group["reread_at_most"] for group in plan["groups"]}
    assert set(bounds) == set(GROUPS)
    with stores.consumers("us"):
        until(lambda: _all_read(stores, feed, held.last), lambda: f"{_committed(stores, feed, 'us')}")

    assert len(copied) == len(set(copied)) > 0
    for name in ("audit", "archive"):
        there, here = done_in_eu[name], stores.held(name, "us")
        again = sum((there & here).values())
        sys.stdout.write(f"{name}: {again} of {len(copied)} read again, at most {bounds[name]} were told\n")
        assert again <= bounds[name], (name, again, bounds)
        assert set(copied) <= set(there) | set(here), f"{name} lacks what was copied"
        assert max(here.values(), default=1) == 1
        assert here.keys() <= set(copied)
    told = Counter(message.dedupe_id for message in stores.outbox.sent)
    assert max(told.values()) == 1
    assert len(told) >= told_in_eu
    statuses = [one for one in copied if int(one.rpartition(":")[2]) // 10 % 10 in (2, 4)]  # paid, shipped
    assert len(told) >= len(statuses)
    not_copied = producing.committed - set(copied)
    assert len(not_copied) < len(producing.committed)
    sys.stdout.write(f"{len(not_copied)} of {len(producing.committed)} committed in eu were not copied\n")


def _checkpointed(stores: Estate, flow: Any) -> set[tuple[str, int]]:
    facts = ask(flow, stores.clients("us"), now_ms=wall_ms)
    return {
        (one.group, one.partition) for one in facts.checkpoints if one.topic == flow.feeds[0] and one.downstream > 20
    }


@dataclass(frozen=True)
class Copies:
    """What us holds: event ids, and the last record's offset of each partition (transactions' marks lie behind it)."""

    events: list[str]
    last: dict[int, int]


def _copies(stores: Estate, feed: str) -> Copies:
    reader = stores.clients("us").reader()
    reader.assign([TopicPartition(feed, number, 0) for number in range(2)])
    events: list[str] = []
    last: dict[int, int] = {}
    ended: set[int] = set()
    while len(ended) < 2:
        for message in reader.consume(500, 0.5):
            error, number = message.error(), message.partition() or 0
            if error is None:
                events.append(dict(message.headers() or ())["ce_id"].decode())
                last[number] = message.offset() or 0
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(number)
    reader.close()
    return Copies(events, last)


def _failover(file: Path, *more: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["failover", "-c", str(file), "--to", "us", "--json", *more])
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def _committed(stores: Estate, feed: str, region: str) -> dict[str, dict[tuple[str, int], int]]:
    clients = stores.clients(region)
    places = [(feed, number) for number in range(2)]
    return {name: committed_offsets(clients, f"{feed}.{name}", places) for name in GROUPS}


def _all_read(stores: Estate, feed: str, last: dict[int, int]) -> bool:
    groups = _committed(stores, feed, "us").values()
    return all(offsets.get((feed, number), 0) > offset for offsets in groups for number, offset in last.items())
