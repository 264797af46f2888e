"""A consumer process without a broker: a sink fed from a made topic, a commit in a file, and a death at a named point.

Run by test_kill_sinks.py as ``python sink_process.py '<json>'``; ends with 0 when the topic is consumed.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import RedshiftSettings
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import BatchSink, Partition
from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec, Depth
from schemas.headers import headers_of
from schemas.version import Version
from tests.faults.sinks.dying_store import DyingStore
from tests.faults.sinks.dying_warehouse import DyingRedshift

START_MS = 1_764_000_000_000
RECORDS = 600
"""Records of each partition."""
PARTITIONS = 3
BATCH = 20
CODEC = ChangeCodec.for_image(bundled.load("order"))


def topic(partition: int) -> list[StoredRecord]:
    """The records of one partition: orders changed in turn, minutes interleaved, a marker after every ten records."""
    made: list[StoredRecord] = []
    for number in range(RECORDS):
        order = f"o-{partition}-{number % 40}"
        ordinal = number * PARTITIONS + partition
        deleted = number % 97 == 96
        image = CODEC.image_from_dynamodb(
            {
                "orderId": {"S": order},
                "status": {"S": "paid"},
                "revision": {"N": str(number // 40 + 1)},
                "customerId": {"S": "c"},
                "currency": {"S": "EUR"},
                "total": {"N": "1.25"},
                "lines": {"L": []},
                "createdAt": {"N": str(START_MS)},
                "updatedAt": {"N": str(START_MS + number)},
            }
        )
        change = Change(
            op=Op.DELETE if deleted else Op.UPDATE,
            key={"orderId": {"S": order}},
            before=None,
            after=None if deleted else image,
            source=Source("orders", "eu-west-1", "arn", "shardId-1", ordinal + 1, ordinal, f"shardId-1:{ordinal + 1}"),
            version=Version(1, ordinal + 1),
            occurred_at_ms=START_MS + (number // 60 + number % 2) * 60_000,
            captured_at_ms=START_MS + number,
        )
        offset = number + number // 10
        value, headers = CODEC.encode(change), headers_of(change)
        made.append(StoredRecord("orders", partition, offset, order.encode(), value, headers, 1, change.occurred_at_ms))
    return made


def partition_of(number: int) -> Partition:
    """A partition's identity."""
    return Partition("cluster", "topic", "orders", number)


class Death:
    """Ends the process at the n-th passing of a point."""

    def __init__(self, point: str, after: int) -> None:
        self.point = point
        self.left = itertools.count(after, -1)

    def passing(self, point: str) -> None:
        """Die here, if it is here."""
        if point == self.point and next(self.left) <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def sink_of(given: dict[str, Any], death: Death, now_ms: Callable[[], int]) -> BatchSink:
    """The sink by its name."""
    clients = AwsClients(AwsSettings.model_validate(given["aws"]))
    store = DyingStore.writing(clients, given["bucket"])
    store.passing = death.passing
    registry, bucket = CollectorRegistry(), given["bucket"]
    if given["sink"] == "audit":
        settings = AuditSettings(bucket=bucket, segment_ms=100, retention_days=1)
        return AuditSink(store, settings, registry=registry, now_ms=now_ms)
    if given["sink"] == "archive":
        return ArchiveSink(store, ArchiveSettings(bucket=bucket, grace_ms=0), registry=registry, now_ms=now_ms)
    role = "arn:aws:iam::000000000000:role/copy"
    redshift = DyingRedshift(
        clients.client("redshift-data"), RedshiftSettings(workgroup="local", copy_role=role, poll_interval_ms=20)
    )
    redshift.passing = death.passing
    return AnalyticsSink(
        store,
        redshift,
        image=bundled.load("order"),
        decode=lambda value: CODEC.decode(value, Depth.AFTER),
        settings=AnalyticsSettings(bucket=bucket, interval_ms=100),
        registry=registry,
        now_ms=now_ms,
    )


def main() -> None:
    """Consume the topic."""
    given = json.loads(sys.argv[1])
    death = Death(given["point"], given["after"])
    commits = Path(given["commits"])
    committed = json.loads(commits.read_text()) if commits.exists() else [0] * PARTITIONS
    sink = sink_of(given, death, now_ms=lambda: time.time_ns() // 1_000_000)
    opened = [sink.open(partition_of(number), committed[number]) for number in range(PARTITIONS)]
    unread = [[r for r in topic(number) if r.offset() >= opened[number][0]] for number in range(PARTITIONS)]

    def commit() -> None:
        death.passing("before-commit")
        temporary = commits.with_suffix(".new")
        temporary.write_text(json.dumps([writer.durable() for _, writer in opened]))
        temporary.replace(commits)
        death.passing("after-commit")

    while any(unread):
        for number, (_, writer) in enumerate(opened):
            batch, unread[number] = unread[number][:BATCH], unread[number][BATCH:]
            if batch:
                writer.add(batch)
            time.sleep(0.005)  # the pace of the topic, not a wait for something
            writer.tick(time.time_ns() // 1_000_000)
        commit()
    for _, writer in opened:
        writer.flush()
        commit()


if __name__ == "__main__":
    main()
