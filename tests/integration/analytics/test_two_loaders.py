"""Two loaders on one table, as processes: one is a zombie that wakes up, or both load at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import AwsClients, AwsSettings
from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import BucketSpec, ensure_bucket
from feed.local import ObjectStore as S3Server
from feed.local import Site
from feed.local.data_api import DataApi
from tests.faults.sinks.dying_warehouse import LOAD_POINTS
from tests.integration.analytics.loading_process import PARTITIONS, RECORDS, topic

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).parents[3]
WITHIN_S = 60


class Bench:
    """A warehouse, a bucket, and loaders that are started and frozen."""

    def __init__(self, part: DataApi, s3_server: S3Server, bucket: str) -> None:
        self.aws = {
            "region": "ap-southeast-2",
            "endpoints": {"s3": s3_server.endpoint, "redshift-data": part.endpoint},
            "access_key_id": s3_server.access_key_id,
            "secret_access_key": s3_server.secret_access_key,
        }
        self.bucket = bucket
        self.clients = AwsClients(AwsSettings.model_validate(self.aws))
        ensure_bucket(self.clients.client("s3"), BucketSpec(bucket, "ap-southeast-2"))

    def loader(self, point: str = "never") -> subprocess.Popen[str]:
        """Start a loader; it freezes at ``point``, once."""
        given = json.dumps({"aws": self.aws, "bucket": self.bucket, "point": point})
        program = [sys.executable, "-m", "tests.integration.analytics.loading_process", given]
        return subprocess.Popen(program, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask the warehouse."""
        settings = RedshiftSettings(workgroup="local", copy_role="arn:role", poll_interval_ms=10)
        return Redshift(self.clients.client("redshift-data"), settings).query(sql)

    def assert_exact(self) -> None:
        """Every change once, every order as its last change says, the ledger at the end."""
        history = Counter(row["o"] for row in self.query("SELECT feed_ordinal AS o FROM public.orders_history"))
        assert history == Counter(range(RECORDS * PARTITIONS))
        rows = self.query("SELECT feed_key AS k, feed_version AS v, feed_deleted AS d FROM public.orders_current")
        by_ordinal = self.query("SELECT feed_key AS k, MAX(feed_version) AS v FROM public.orders_history GROUP BY 1")
        assert {row["k"]: row["v"] for row in rows} == {row["k"]: row["v"] for row in by_ordinal}
        assert any(row["d"] for row in rows)
        ledger = self.query("SELECT partition_number AS p, next_offset AS n FROM public.load_ledger")
        assert {row["p"]: row["n"] for row in ledger} == {p: topic(p)[-1].offset() + 1 for p in range(PARTITIONS)}


@pytest.fixture
def bench(local_site: Site, s3_server: S3Server, unique_name: Callable[[str], str]) -> Iterator[Bench]:
    """An empty warehouse of its own."""
    keys = {"access_key_id": s3_server.access_key_id, "secret_access_key": s3_server.secret_access_key}
    part = DataApi(local_site, s3_endpoint=s3_server.endpoint, **keys, name=unique_name("warehouse-db"))
    part.start()
    part.wait_ready()
    yield Bench(part, s3_server, unique_name("two-loaders"))
    part.stop()


def end(loader: subprocess.Popen[str]) -> str:
    """Wait for its end; what it said."""
    out, err = loader.communicate(timeout=WITHIN_S)
    assert loader.returncode == 0, err
    return out


@pytest.mark.parametrize("point", LOAD_POINTS[:2])
def test_a_zombie_that_wakes_up_changes_nothing(bench: Bench, point: str) -> None:
    """Frozen in the middle of a load, overtaken by a second loader, woken: its load is refused by the ledger."""
    zombie = bench.loader(point)
    try:
        assert zombie.stdout is not None
        assert zombie.stdout.readline() == f"frozen {point}\n"
        end(bench.loader())
        bench.assert_exact()
        os.kill(zombie.pid, signal.SIGCONT)
        assert "done" in end(zombie)
    finally:
        zombie.kill()
        zombie.wait()
    bench.assert_exact()


def test_two_at_once_are_serialised(bench: Bench) -> None:
    """Both load the same partitions at the same time: the lock lets one in, the ledger tells the other."""
    loaders = [bench.loader(), bench.loader()]
    for loader in loaders:
        end(loader)
    bench.assert_exact()
