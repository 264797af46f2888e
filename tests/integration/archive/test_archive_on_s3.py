"""The archive on the real S3 server."""

from __future__ import annotations

import io
from collections.abc import Callable

import duckdb
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.archive import ArchiveSettings, ArchiveSink, partitions_in, read_archive, runs_in
from feed.local import ObjectStore as S3Server
from tests.unit.feed_records import PARTITION, record

pytestmark = pytest.mark.integration

START_MS = 1_764_000_000_000
MINUTE_MS = 60_000


@pytest.fixture
def store(s3_server: S3Server, unique_name: Callable[[str], str]) -> ObjectStore:
    """An archive's bucket."""
    settings = {
        "region": "eu-west-1",
        "endpoints": {"s3": s3_server.endpoint},
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    s3 = AwsClients(AwsSettings.model_validate(settings)).client("s3")
    bucket = unique_name("archive")
    ensure_bucket(s3, BucketSpec(bucket, "eu-west-1", expire_days=90))
    return ObjectStore(s3, bucket)


def sink_on(store: ObjectStore, **changed: int) -> ArchiveSink:
    """The sink of a new process."""
    settings = ArchiveSettings.model_validate({"bucket": store.bucket, **changed})
    return ArchiveSink(store, settings, registry=CollectorRegistry(), now_ms=lambda: START_MS)


def test_minutes_go_out_side_by_side_and_come_back(store: ObjectStore) -> None:
    """Three hours of interleaved minutes are stored by several threads, and read back whole and by range."""
    sink = sink_on(store)
    start, writer = sink.open(PARTITION, 0)
    assert start == 0
    records = [record(offset, at_ms=START_MS + (offset % 180) * MINUTE_MS) for offset in range(1_800)]
    for begin in range(0, 1_800, 100):
        writer.add(records[begin : begin + 100])
    writer.flush()
    sink.executor.shutdown()
    assert writer.durable() == 1_800
    assert partitions_in(store, "archive") == [PARTITION]
    assert sorted(read_archive(store, "archive", PARTITION), key=lambda r: r.offset()) == records
    from_ms, to_ms = START_MS + 60 * MINUTE_MS, START_MS + 61 * MINUTE_MS
    part = list(read_archive(store, "archive", PARTITION, from_ms=from_ms, to_ms=to_ms))
    assert [r.offset() for r in part] == [offset for offset in range(1_800) if offset % 180 == 60]


def test_a_restart_finds_what_is_held(store: ObjectStore) -> None:
    """A new process reads from the commit again and stores nothing twice."""
    flow = [record(offset, at_ms=START_MS + (offset % 7) * MINUTE_MS) for offset in range(70)]
    first = sink_on(store, grace_ms=0)
    _, writer = first.open(PARTITION, 0)
    writer.add(flow[:50])
    first.executor.shutdown()  # the uploads land; the process dies before it commits anything
    second = sink_on(store, grace_ms=0)
    _, again = second.open(PARTITION, 0)
    again.add(flow)
    again.flush()
    second.executor.shutdown()
    assert sorted(r.offset() for r in read_archive(store, "archive", PARTITION)) == list(range(70))


def test_other_tools_read_it(store: ObjectStore) -> None:
    """An object is plain Parquet: DuckDB finds offsets, ordinals, ops and headers without this project."""
    sink = sink_on(store)
    _, writer = sink.open(PARTITION, 0)
    writer.add([record(offset, at_ms=START_MS) for offset in range(5)])
    writer.flush()
    sink.executor.shutdown()
    (run,) = runs_in(store, "archive", PARTITION)
    (name,) = [head.key for head in store.list("archive/")]
    stored = store.get(name)
    assert stored is not None
    assert run.first == 0
    archived = duckdb.from_arrow(pq.read_table(io.BytesIO(stored.body)))
    wanted = "max(ordinal), any_value(op), any_value(headers[5].value), any_value(headers[8].name)"
    found = archived.aggregate(wanted).fetchone()
    assert found == (4, "u", b"shardId-1", "trace")
