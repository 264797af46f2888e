"""The batch sinks on an S3 that answers a tenth of the requests with an error, late or not at all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.archive import read_archive
from consumers.audit import OrdinalLedger, read_chain, verify_chain
from feed.local import ObjectStore as S3Server
from feed.local import Site
from feed.local.data_api import DataApi
from schemas.errors import RetryableError
from tests.faults.sinks.faulty_proxy import faulty_proxy
from tests.faults.sinks.sink_process import PARTITIONS, RECORDS, Death, partition_of, sink_of, topic

pytestmark = pytest.mark.faults


def aws_of(server: S3Server, endpoint: str) -> dict[str, object]:
    """Settings for the server, straight or through a proxy."""
    return {
        "region": "eu-west-1",
        "endpoints": {"s3": endpoint},
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }


def stubborn(call: Callable[[], object]) -> None:
    """As the runtime does it: what is retryable is called again."""
    for _ in range(50):
        try:
            call()
        except RetryableError:
            continue
        return
    pytest.fail("it never worked")


@pytest.mark.parametrize("kind", ["audit", "archive"])
def test_nothing_is_lost_or_repeated(s3_server: S3Server, unique_name: Callable[[str], str], kind: str) -> None:
    """With errors before and after the effect, lost answers and slow ones, the store holds the topic exactly once."""
    straight = AwsClients(AwsSettings.model_validate(aws_of(s3_server, s3_server.endpoint)))
    bucket = unique_name("faulty")
    ensure_bucket(straight.client("s3"), BucketSpec(bucket, "eu-west-1", object_lock=True))
    with faulty_proxy(s3_server.endpoint, share=0.1, seed=7) as (endpoint, counts):
        given = {"sink": kind, "aws": aws_of(s3_server, endpoint), "bucket": bucket}
        sink = sink_of(given, Death("never", 0), lambda: time.time_ns() // 1_000_000)
        for number in range(PARTITIONS):
            consume(sink, number, batch_records=15)
        sink.executor.shutdown()  # type: ignore[attr-defined]  # both have one
    store = ObjectStore(straight.client("s3"), bucket)
    assert sum(count for fault, count in counts.items() if fault != "none") >= 10, counts
    ledger = OrdinalLedger()
    for number in range(PARTITIONS):
        if kind == "archive":
            found = sorted(read_archive(store, "archive", partition_of(number)), key=lambda r: r.offset())
            assert found == topic(number)
            continue
        assert list(read_chain(store, "audit", partition_of(number))) == topic(number)
        report = verify_chain(store, "audit", partition_of(number), ledger=ledger, now=datetime.now(UTC))
        assert report.findings == []
    if kind == "audit":
        assert ledger.total() == RECORDS * PARTITIONS
    assert set(counts) >= {"busy", "broken after", "lost answer"}, Counter(counts)


def test_no_change_is_lost_or_loaded_twice(
    s3_server: S3Server, local_site: Site, unique_name: Callable[[str], str]
) -> None:
    """The same for the loads: whatever staging met, the history has every change once."""
    keys = {"access_key_id": s3_server.access_key_id, "secret_access_key": s3_server.secret_access_key}
    part = DataApi(local_site, s3_endpoint=s3_server.endpoint, **keys, name=unique_name("warehouse-db"))
    part.start()
    part.wait_ready()
    straight = AwsClients(AwsSettings.model_validate(aws_of(s3_server, s3_server.endpoint)))
    bucket = unique_name("faulty")
    ensure_bucket(straight.client("s3"), BucketSpec(bucket, "eu-west-1"))
    with faulty_proxy(s3_server.endpoint, share=0.2, seed=11) as (endpoint, counts):
        aws = aws_of(s3_server, endpoint)
        aws["endpoints"] = {"s3": endpoint, "redshift-data": part.endpoint}
        given = {"sink": "analytics", "aws": aws, "bucket": bucket}
        sink = sink_of(given, Death("never", 0), lambda: time.time_ns() // 1_000_000)
        for number in range(PARTITIONS):
            consume(sink, number, batch_records=60)
    clients = AwsClients(AwsSettings.model_validate(aws))
    redshift = Redshift(clients.client("redshift-data"), RedshiftSettings(workgroup="local", copy_role="arn:role"))
    history = Counter(row["o"] for row in redshift.query("SELECT feed_ordinal AS o FROM public.orders_history"))
    part.stop()
    assert sum(count for fault, count in counts.items() if fault != "none") >= 10, counts
    assert history == Counter(range(RECORDS * PARTITIONS))


def consume(sink: object, number: int, batch_records: int) -> None:
    """One partition, in small segments, minutes or loads."""
    opened: list[tuple[int, object]] = []
    stubborn(lambda: opened.append(sink.open(partition_of(number), 0)))  # type: ignore[attr-defined]  # a batch sink
    start, writer = opened[-1]
    records = [r for r in topic(number) if r.offset() >= start]
    for begin in range(0, len(records), batch_records):
        batch = records[begin : begin + batch_records]
        stubborn(lambda batch=batch: writer.add(batch))  # type: ignore[misc]  # a default binds the batch of this round
        stubborn(writer.flush)  # type: ignore[attr-defined]  # a writer
    assert writer.durable() == records[-1].offset() + 1  # type: ignore[attr-defined]  # a writer
