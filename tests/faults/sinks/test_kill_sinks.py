"""kill -9 of the batch sinks at every named point, on the real S3 server and the local Data API."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.archive import read_archive
from consumers.audit import OrdinalLedger, verify_chain
from consumers.audit import read_chain as read_audit
from feed.local import ObjectStore as S3Server
from feed.local import Site
from feed.local.data_api import DataApi
from tests.faults.sinks.dying_warehouse import LOAD_POINTS
from tests.faults.sinks.sink_process import PARTITIONS, RECORDS, partition_of, topic

pytestmark = pytest.mark.faults

KILLS = 5
"""How often a process is killed at each point."""
PROJECT = Path(__file__).parents[3]


@dataclass
class Bench:
    """A bucket, a commit file, and processes that are killed."""

    aws: dict[str, Any]
    bucket: str
    commits: Path

    @property
    def store(self) -> ObjectStore:
        """The bucket."""
        return ObjectStore(AwsClients(AwsSettings.model_validate(self.aws)).client("s3"), self.bucket)

    def consume(self, sink: str, point: str) -> int:
        """Run processes that die at ``point``, sooner or later, until the topic is consumed; gives the kills."""
        kills = 0
        for attempt in range(KILLS + 1):
            given = {
                "sink": sink,
                "aws": self.aws,
                "bucket": self.bucket,
                "commits": str(self.commits),
                "point": point if attempt < KILLS else "never",
                "after": 0 if point in LOAD_POINTS[1:] else attempt % 3,  # a load that is under way commits: few remain
            }
            program = [sys.executable, "-m", "tests.faults.sinks.sink_process", json.dumps(given)]
            ended = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
            if ended.returncode == -signal.SIGKILL:
                kills += 1
            else:
                assert ended.returncode == 0, ended.stderr
        return kills


@pytest.fixture
def bench(s3_server: S3Server, unique_name: Callable[[str], str], tmp_path: Path) -> Bench:
    """An empty bucket with Object Lock."""
    aws = {
        "region": "eu-west-1",
        "endpoints": {"s3": s3_server.endpoint},
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    bucket = unique_name("kill")
    client = AwsClients(AwsSettings.model_validate(aws)).client("s3")
    ensure_bucket(client, BucketSpec(bucket, "eu-west-1", object_lock=True))
    return Bench(aws, bucket, tmp_path / "commits.json")


@pytest.fixture
def warehouse(local_site: Site, s3_server: S3Server, unique_name: Callable[[str], str]) -> Iterator[DataApi]:
    """An empty warehouse."""
    part = DataApi(
        local_site,
        s3_endpoint=s3_server.endpoint,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
        name=unique_name("warehouse-db"),
    )
    part.start()
    part.wait_ready()
    yield part
    part.stop()


POINTS = ["before-upload", "after-upload", "before-commit", "after-commit"]


@pytest.mark.parametrize("point", POINTS)
def test_audit_holds_every_record_once(bench: Bench, point: str) -> None:
    """Five kills at the point: the chain verifies, holds the topic record for record, and no ordinal is missing."""
    assert bench.consume("audit", point) == KILLS
    ledger = OrdinalLedger()
    for number in range(PARTITIONS):
        partition = partition_of(number)
        assert list(read_audit(bench.store, "audit", partition)) == topic(number)
        report = verify_chain(bench.store, "audit", partition, ledger=ledger, now=datetime.now(UTC))
        assert report.findings == []
    assert (ledger.total(), ledger.missing(), ledger.repeated()) == (RECORDS * PARTITIONS, {}, {})


@pytest.mark.parametrize("point", POINTS)
def test_archive_holds_every_record_once(bench: Bench, point: str) -> None:
    """Five kills at the point: the archive holds the topic record for record, each in its minute."""
    assert bench.consume("archive", point) == KILLS
    for number in range(PARTITIONS):
        found = list(read_archive(bench.store, "archive", partition_of(number)))
        assert sorted(found, key=lambda r: r.offset()) == topic(number)


@pytest.mark.parametrize("point", [*POINTS, *LOAD_POINTS])
def test_analytics_loads_every_change_once(bench: Bench, warehouse: DataApi, point: str) -> None:
    """Five kills at the point: the history has every change once, the current state is the topic's last word."""
    bench.aws["endpoints"]["redshift-data"] = warehouse.endpoint
    assert bench.consume("analytics", point) == KILLS
    clients = AwsClients(AwsSettings.model_validate(bench.aws))
    redshift = Redshift(clients.client("redshift-data"), RedshiftSettings(workgroup="local", copy_role="arn:role"))
    history = Counter(row["o"] for row in redshift.query("SELECT feed_ordinal AS o FROM public.orders_history"))
    assert history == Counter(range(RECORDS * PARTITIONS))
    last = {r.key(): dict(r.headers() or []) for number in range(PARTITIONS) for r in topic(number)}
    living = {key.decode() for key, headers in last.items() if key and not headers["ce_type"].endswith(b".d")}
    assert {row["i"] for row in redshift.query("SELECT order_id AS i FROM public.orders")} == living
    rows = redshift.query("SELECT feed_key AS k, feed_version AS v FROM public.orders_current")
    assert {row["k"]: row["v"].rpartition(".")[2] for row in rows} == {
        key.decode(): headers["ce_sequence"].decode() for key, headers in last.items() if key
    }
