"""What creating a small object costs: boto3's PUT, that of the sinks, and a run of the archive with its Parquet file.

    python -m benchmarks.sinks.puts

As many objects as the archive makes of a million changes of 42 minutes in 64 partitions, of the size they have there,
one after the other into the real S3 server. CPU is user and system of this process.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sinks.backlog import START_MS, Made
from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.archive.runs import Runs
from consumers.columns import RecordColumns
from consumers.runtime.contracts import Partition
from feed.local import Guardian, LocalSettings, Site
from feed.local import ObjectStore as S3Server

RECORDS_OF_A_RUN = 375
BODY_BYTES = 8 * 1024
BUCKET = "puts"
METADATA = {"first": "1", "last": "375", "count": "375", "sha256": "a" * 64}


def measured(what: str, objects: int, create: Callable[[int], object]) -> None:
    """CPU and time of creating so many objects; the first opens the connection and is not counted."""
    create(0)
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(1, objects):
        create(number)
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    print(
        f"{what:36} {cpu:5.2f} CPU s, {cpu / objects * 1e3:.2f} ms an object, {took / objects * 1e3:.1f} ms of time",
        flush=True,
    )


def compare(aws: AwsClients, objects: int) -> None:
    """The three ways."""
    ensure_bucket(aws.client("s3"), BucketSpec(BUCKET, "eu-west-1"))
    body = os.urandom(BODY_BYTES)
    boto, sinks = ObjectStore(aws.client("s3"), BUCKET), ObjectStore.writing(aws, BUCKET)
    measured("bare PUT of boto3", objects, lambda number: boto.put_create_only(f"boto3/{number}", body, METADATA))
    measured("bare PUT of the sinks", objects, lambda number: sinks.put_create_only(f"sinks/{number}", body, METADATA))
    columns = RecordColumns()
    columns.extend([Made(number, 0, number, START_MS) for number in range(RECORDS_OF_A_RUN)])
    runs, table = Runs(sinks, "archive", Partition("cluster", "topic", "orders", 0)), columns.table()
    measured("a run: 375 records to Parquet, PUT", objects, lambda number: runs.store(number, table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=2_700)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        guardian = Guardian()
        site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, LocalSettings(), disposable=True)
        site.state_dir.mkdir()
        server = S3Server(site)
        try:
            server.start()
            server.wait_ready()
            settings = {
                "region": "eu-west-1",
                "endpoints": {"s3": server.endpoint},
                "access_key_id": server.access_key_id,
                "secret_access_key": server.secret_access_key,
            }
            compare(AwsClients(AwsSettings.model_validate(settings)), given.objects)
        finally:
            server.finish()
            guardian.close()


if __name__ == "__main__":
    main()
