"""Audit and archive keep the control topic beside the changes: a missing ordinal is told apart without Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from connectors.telemetry import Telemetry
from consumers.archive import all_runs, declared_in_archive, verify_archive
from consumers.audit import Wanted, verify_log
from feed.config import FeedConfig
from feed.local import ObjectStore as S3Server
from feed.run.consumer import run_consumer
from feed.run.process import Process
from feed.testing import KafkaBroker, create_topics
from schemas.control import ControlEvent, ControlKind, encode_control
from tests.unit.feed_records import record

pytestmark = pytest.mark.integration

WITHIN_S = 60.0
REFUSED = 7
CHANGES = 20


def config_of(feed: str, kind: str, bootstrap: str, aws: dict[str, Any], bucket: str) -> FeedConfig:
    """A feed with one consumer."""
    sink = {"bucket": bucket, **({"segment_ms": 200, "retention_days": 1} if kind == "audit" else {"open_ms": 300})}
    return FeedConfig.model_validate(
        {
            "feed": feed,
            "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
            "topic": {"partitions": 2, "slots": 1},
            "regions": {"eu": {"kafka": {"bootstrap_servers": bootstrap}, "aws": aws}},
            "consumers": {kind: {"kind": kind, "region": "eu", "sink": sink}},
        }
    )


def publish(bootstrap: str, feed: str) -> None:
    """Changes of a shard without the refused one, and what the feed says of it."""
    producer = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="test").producer()
    now_ms = time.time_ns() // 1_000_000
    events = [
        ControlEvent(ControlKind.SHARD_START, feed, now_ms, shard="shardId-1"),
        ControlEvent(ControlKind.REFUSED, feed, now_ms, shard="shardId-1", ordinal=REFUSED, reason="no such field"),
    ]
    for event in events:
        producer.produce(f"{feed}.control", encode_control(event), event.shard)
    for ordinal in range(CHANGES):
        if ordinal != REFUSED:
            change = record(ordinal, at_ms=now_ms)
            headers = list(change.headers() or [])
            producer.produce(feed, change.value(), change.key(), ordinal % 2, headers=[*headers], timestamp=now_ms)
    # the mark at the end of a first load: neither key nor value
    producer.produce(feed, None, None, 0, headers=[("ce_type", b"changefeed.snapshot-complete")])
    assert producer.flush(WITHIN_S) == 0


@pytest.mark.parametrize("kind", ["audit", "archive"])
def test_a_refused_change_is_declared_in_the_store(
    kafka_broker: KafkaBroker, s3_server: S3Server, unique_name: Callable[[str], str], kind: str
) -> None:
    """The consumer as it runs in production: afterwards the bucket alone proves what is held and what was refused."""
    feed, bucket = unique_name("orders"), unique_name("raw")
    aws = {
        "region": "eu-west-1",
        "endpoints": {"s3": s3_server.endpoint},
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    client = AwsClients(AwsSettings.model_validate(aws)).client("s3")
    ensure_bucket(client, BucketSpec(bucket, "eu-west-1", object_lock=kind == "audit"))
    store = ObjectStore(client, bucket)
    create_topics(kafka_broker.bootstrap, {feed: 2, f"{feed}.control": 1, f"{feed}.{kind}.dead-letter": 1})
    publish(kafka_broker.bootstrap, feed)
    process = Process(f"consumer-{kind}", Telemetry("test"), threading.Event())
    config = config_of(feed, kind, kafka_broker.bootstrap, aws, bucket)
    running = threading.Thread(target=run_consumer, args=(config, kind, process), daemon=True)
    running.start()
    try:
        until = time.monotonic() + WITHIN_S
        while not _is_whole(store, feed, kind):
            assert time.monotonic() < until
            assert running.is_alive()
            time.sleep(0.2)
    finally:
        process.stop.set()
        running.join(WITHIN_S)
    assert not running.is_alive()
    page = process.telemetry.answer("/metrics")[2].decode()
    assert f"feed_control_sink_{kind}_records_total 2.0" in page
    assert f'feed_consumer_records_total{{partition="0",sink="{kind}-control"}} 2.0' in page


def _is_whole(store: ObjectStore, feed: str, kind: str) -> bool:
    """Everything is stored, and nothing is missing that was not declared."""
    if kind == "audit":
        report = verify_log(store, "audit", Wanted(feed, datetime.now(UTC)))
        if report.control is None or sum(chain.records for chain in report.chains) < CHANGES:
            return False
        assert report.findings == []
        declared = report.ordinals.declared
    else:
        told, runs = declared_in_archive(store, "archive", feed), all_runs(store, "archive", feed)
        archived = verify_archive(store, "archive", runs, declared=told)
        if told.events < 2 or archived.records < CHANGES:
            return False
        assert archived.valid
        declared = archived.ordinals.declared
    assert [(refused.ordinal, refused.reason) for refused in declared] == [(REFUSED, "no such field")]
    return True
