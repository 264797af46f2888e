"""A loader as a process of its own, which may freeze at a point of a load. Run by test_two_loaders.py with one JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import RedshiftSettings
from connectors.s3 import ObjectStore
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.columns import StoredRecord
from schemas import bundled
from schemas.change import Op
from schemas.errors import RetryableError
from tests.faults.sinks.dying_warehouse import DyingRedshift
from tests.unit.analytics.loading import CODEC, change, partition, record

PARTITIONS = 2
RECORDS = 160
"""Of each partition."""
BATCH = 40


def topic(number: int) -> list[StoredRecord]:
    """One partition: forty orders changed in turn, a few deleted, ordinals dense over both partitions."""
    made: list[StoredRecord] = []
    for at in range(RECORDS):
        ordinal = at * PARTITIONS + number
        op = Op.DELETE if at % 47 == 46 else Op.UPDATE
        what = change(ordinal, f"o-{number}-{at % 40}", sequence=ordinal + 1, op=op)
        made.append(record(at, what, number))
    return made


def sink_of(given: dict[str, Any]) -> AnalyticsSink:
    """A sink whose connection freezes the process at the point, once."""
    clients = AwsClients(AwsSettings.model_validate(given["aws"]))
    role = "arn:aws:iam::000000000000:role/copy"
    redshift = DyingRedshift(
        clients.client("redshift-data"), RedshiftSettings(workgroup="local", copy_role=role, poll_interval_ms=10)
    )
    points = [given["point"]]

    def passing(point: str) -> None:
        if point in points:
            points.remove(point)
            sys.stdout.write(f"frozen {point}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGSTOP)

    redshift.passing = passing
    return AnalyticsSink(
        ObjectStore(clients.client("s3"), given["bucket"]),
        redshift,
        image=bundled.load("order"),
        decode=CODEC.decode,
        settings=AnalyticsSettings(bucket=given["bucket"], interval_ms=100),
        registry=CollectorRegistry(),
        now_ms=lambda: time.time_ns() // 1_000_000,
    )


def main() -> None:
    """Load everything, batch by batch; what is retryable is called again, as the runtime does it."""
    sink = sink_of(json.loads(sys.argv[1]))
    opened = [stubborn(lambda number=number: sink.open(partition(number), 0)) for number in range(PARTITIONS)]
    records = [topic(number) for number in range(PARTITIONS)]
    for start in range(0, RECORDS, BATCH):
        for number, (first, writer) in enumerate(opened):
            batch = [one for one in records[number][start : start + BATCH] if one.offset() >= first]
            if batch:
                stubborn(lambda writer=writer, batch=batch: writer.add(batch))
        stubborn(opened[0][1].flush)
    sys.stdout.write("done\n")


def stubborn(call: Any) -> Any:
    """Again and again, within a bound."""
    for _ in range(200):
        try:
            return call()
        except RetryableError:
            time.sleep(0.05)  # the runtime's back-off
    raise AssertionError("it never worked")


if __name__ == "__main__":
    main()
