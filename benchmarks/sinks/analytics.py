"""CPU, rate and memory of the analytics sink: records to rows, to Parquet, to a load on DuckDB; no Kafka, no S3.

    python benchmarks/sinks/analytics.py --records 360000 --load-records 120000

The loader is this process, the warehouse (the local Data API over a DuckDB file) another one; both are measured apart.
120,000 records are five minutes at 400 a second. Making the records is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from prometheus_client import CollectorRegistry

from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import ObjectHead, ObjectStore, PutOutcome
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition
from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec, Depth
from schemas.version import Version

START_MS = 1_764_000_000_000
FETCH = 500
ORDERS = 20_000
CODEC = ChangeCodec.for_image(bundled.load("order"))


class Folder(ObjectStore):
    """Objects as files."""

    def __init__(self, folder: Path) -> None:
        self.bucket = "benchmark"
        self._folder = folder
        self.size = 0

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "",
    ) -> PutOutcome:
        del metadata, retain_until, content_type
        (self._folder / quote(key, safe="")).write_bytes(body)
        self.size += len(body)
        return PutOutcome.CREATED

    def head(self, key: str, *, version_id: str = "") -> ObjectHead | None:
        del version_id
        size = (self._folder / quote(key, safe="")).stat().st_size
        return ObjectHead(key, size, datetime.now(UTC), {}, None, "", "1")


class Reader:
    """What COPY needs of boto3's S3 client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        del Bucket
        return {"Body": BytesIO((self._folder / quote(Key, safe="")).read_bytes())}


def serve_warehouse(folder: Path, say: Connection) -> None:
    """The warehouse's process."""
    import signal  # noqa: PLC0415 - in the child
    import threading  # noqa: PLC0415

    from feed.local.data_api import Engine  # noqa: PLC0415
    from feed.local.data_api.http import serve  # noqa: PLC0415

    engine = Engine(str(folder / "warehouse.duckdb"), Reader(folder))  # type: ignore[arg-type]  # the one call made
    server = serve(engine, "127.0.0.1", 0)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    say.send(server.server_address[1])
    server.serve_forever()
    engine.close()


def fetches(partitions: int, records: int) -> Iterator[tuple[int, list[StoredRecord]]]:
    """Batches as the client hands them out: orders of four lines' worth of text, changed in turn."""
    offsets, number, partition = [0] * partitions, 0, 0
    while number < records:
        batch = [_record(number + n, partition, offsets[partition] + n) for n in range(FETCH)]
        yield partition, batch
        offsets[partition] += FETCH
        number += FETCH
        partition = (partition + 1) % partitions


def _record(number: int, partition: int, offset: int) -> StoredRecord:
    order = f"o-{partition}-{number % ORDERS}"
    line = {"M": {"sku": {"S": f"SKU-{number % 400:04d}"}, "quantity": {"N": "2"}, "price": {"N": "6.25"}}}
    image = CODEC.image_from_dynamodb(
        {
            "orderId": {"S": order},
            "status": {"S": "paid"},
            "revision": {"N": str(number // ORDERS + 1)},
            "customerId": {"S": f"c-{number % 5000}"},
            "currency": {"S": "EUR"},
            "total": {"N": "12.5"},
            "lines": {"L": [line, line]},
            "createdAt": {"N": str(START_MS)},
            "updatedAt": {"N": str(START_MS + number * 2)},
        }
    )
    source = Source("orders", "eu-west-1", "arn", "shardId-1", number + 1, number, f"shardId-1:{number + 1:040d}")
    at = START_MS + number * 1000 // 400
    change = Change(Op.UPDATE, {"orderId": {"S": order}}, None, image, source, Version(1, number + 1), at, at)
    return StoredRecord("orders", partition, offset, order.encode(), CODEC.encode(change), [], 1, at)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=360_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--load-records", type=int, default=120_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("spawn").Process(target=serve_warehouse, args=(folder, theirs))
        child.start()
        url = f"http://127.0.0.1:{ours.recv()}"
        try:
            report = run(folder, url, given)
        finally:
            child.terminate()
            child.join()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    records = given.records
    print(
        f"{records} records, {given.partitions} partitions, loads of {given.load_records}\n"
        f"loader: {report['rows']:.1f} CPU s of decoding and rows, {report['loads']:.1f} CPU s of Parquet and waiting: "
        f"{(report['rows'] + report['loads']) / records * 1e6:.0f} ms of CPU per 1,000 rows\n"
        f"warehouse: {used.ru_utime + used.ru_stime:.1f} CPU s, {report['load_s']:.2f} s a load in the middle\n"
        f"{records / report['elapsed']:.0f} rows/s from records to tables; "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB and "
        f"{used.ru_maxrss / 1024:.0f} MB; {report['bytes'] / records:.0f} bytes of Parquet a row"
    )


def run(folder: Path, url: str, given: argparse.Namespace) -> dict[str, float]:
    """Load everything; seconds and bytes."""
    client = boto3.client(
        "redshift-data", endpoint_url=url, region_name="x", aws_access_key_id="x", aws_secret_access_key="x"
    )
    store = Folder(folder)
    sink = AnalyticsSink(
        store,
        Redshift(client, RedshiftSettings(workgroup="local", copy_role="arn:role", poll_interval_ms=20)),
        image=bundled.load("order"),
        decode=lambda value: CODEC.decode(value, Depth.AFTER),
        settings=AnalyticsSettings(bucket="benchmark", load_records=10**9, interval_ms=10**9),
        registry=CollectorRegistry(),
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    writers = [sink.open(Partition("c", "t", "orders", n), 0)[1] for n in range(given.partitions)]
    rows = loads = elapsed = 0.0
    taken, each = 0, list[float]()
    for partition, batch in fetches(given.partitions, given.records):
        wall, cpu = time.perf_counter(), time.process_time()
        writers[partition].add(batch)
        rows += time.process_time() - cpu
        elapsed += time.perf_counter() - wall
        taken += len(batch)
        if taken % given.load_records < FETCH or taken == given.records:
            wall, cpu = time.perf_counter(), time.process_time()
            writers[0].flush()
            loads += time.process_time() - cpu
            each.append(time.perf_counter() - wall)
            elapsed += each[-1]
    (answer,) = Redshift(client, RedshiftSettings(workgroup="local", copy_role="arn:role")).query(
        "SELECT COUNT(*) AS n FROM public.orders_history"
    )
    assert answer["n"] == given.records, answer
    return {
        "rows": rows, "loads": loads, "elapsed": elapsed, "load_s": sorted(each)[len(each) // 2], "bytes": store.size
    }  # fmt: skip


if __name__ == "__main__":
    main()
