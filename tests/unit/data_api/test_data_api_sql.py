"""The local Data API: what Redshift refuses is refused, what it accepts is executed."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from connectors.redshift import Redshift, RedshiftSettings, StatementError, StatementState
from feed.local.data_api import Engine, Refused
from feed.local.data_api.http import serve
from feed.local.data_api.translation import Act, translate

ROLE = "arn:aws:iam::1:role/copy"


class FakeS3:
    """The one call that COPY makes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_table(self, key: str, table: pa.Table) -> int:
        out = io.BytesIO()
        pq.write_table(table, out)
        self.objects[key] = out.getvalue()
        return len(out.getvalue())

    def put_manifest(self, key: str, entries: list[tuple[str, int]]) -> None:
        self.objects[key] = json.dumps(
            {"entries": [{"url": f"s3://b/{k}", "mandatory": True, "meta": {"content_length": n}} for k, n in entries]}
        ).encode()


@pytest.fixture
def s3() -> FakeS3:
    """An empty bucket."""
    return FakeS3()


@pytest.fixture
def engine(s3: FakeS3) -> Iterator[Engine]:
    """An engine in memory."""
    engine = Engine(":memory:", s3)  # type: ignore[arg-type]  # the one call that is made
    yield engine
    engine.close()


@pytest.fixture
def redshift(engine: Engine) -> Iterator[Redshift]:
    """boto3's own client against the server."""
    server = serve(engine, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "redshift-data",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region_name="ap-southeast-2",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    yield Redshift(
        client, RedshiftSettings(workgroup="local", copy_role="arn:aws:iam::1:role/copy", poll_interval_ms=10)
    )
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


UPDATE = "WHEN MATCHED THEN UPDATE SET b = s.b"
INSERT = "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)"


@pytest.mark.parametrize(
    "sql,why",
    [
        (f"MERGE INTO t AS x USING s ON x.a = s.a {UPDATE} {INSERT}", "alias"),
        (f"MERGE INTO t USING (SELECT * FROM s) AS s ON t.a = s.a {UPDATE} {INSERT}", "subquery"),
        (f"MERGE INTO t USING s ON t.a = s.a {UPDATE.replace('THEN', 'AND s.b > t.b THEN')} {INSERT}", "condition"),
        (f"MERGE INTO t USING s ON t.a = s.a {UPDATE}", "exactly one"),
        (f"MERGE INTO t USING s ON t.a = s.a {UPDATE} {INSERT.replace('(a) ', '')}", "list of columns"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "ON CONFLICT"),
        ("CREATE OR REPLACE TABLE t (a INTEGER)", "REPLACE"),
        ("CREATE TABLE t (a VARCHAR(70000))", "65535"),
        ("CREATE TABLE t (a UUID)", "type"),
        ("ALTER TABLE t ADD COLUMN a INTEGER, ADD COLUMN b INTEGER", "one column"),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INTEGER", "IF NOT EXISTS"),
        ("COMMIT", "transaction of its own"),
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("SELEC 1", "syntax|not emulated"),
        ("VACUUM t", "not emulated"),
        ("LOCK TABLE t IN SHARE MODE", "syntax error in LOCK"),
    ],
)
def test_refusals(sql: str, why: str) -> None:
    """Each statement that Redshift refuses is refused before DuckDB, which would take it, sees it."""
    with pytest.raises(Refused, match=why):
        translate(sql)


def test_lock_is_understood() -> None:
    """LOCK is accepted: one thread executes everything."""
    assert translate("LOCK TABLE load_ledger").act is Act.LOCK


def test_a_batch_is_one_transaction(redshift: Redshift) -> None:
    """When the last statement of a batch fails, none of it happened."""
    redshift.run(["CREATE TABLE t (a INTEGER)", "INSERT INTO t (a) VALUES (1)"], token="1")
    with pytest.raises(StatementError, match="Could not convert"):
        redshift.run(["INSERT INTO t (a) VALUES (2)", "SELECT CAST('no' || 'pe' AS INTEGER)"], token="2")
    assert redshift.query("SELECT COUNT(*) AS n FROM t", token="3") == [{"n": 1}]


def test_values_come_back_as_the_data_api_gives_them(redshift: Redshift) -> None:
    """Numbers, text, null, time and decimals have the Data API's forms."""
    rows = redshift.query(
        "SELECT 1 AS i, 1.5::DOUBLE PRECISION AS d, 'x' AS s, NULL::INTEGER AS n, TRUE AS b, "
        "CAST('2026-11-24 10:00:00' AS TIMESTAMP) AS t, CAST(12.5 AS DECIMAL(18,2)) AS m",
        token="1",
    )
    assert rows == [
        {"i": 1, "d": 1.5, "s": "x", "n": None, "b": True, "t": "2026-11-24 10:00:00", "m": str(Decimal("12.50"))}
    ]


def test_long_results_come_in_pages(redshift: Redshift) -> None:
    """More rows than a page are all read."""
    rows = redshift.query("SELECT range AS n FROM range(2500)", token="1")
    assert [row["n"] for row in rows] == list(range(2500))


def test_keys_are_not_enforced_and_lengths_are(redshift: Redshift) -> None:
    """As in Redshift: a primary key is a hint, VARCHAR(n) is a bound in bytes."""
    redshift.run(
        ["CREATE TABLE t (a VARCHAR(3) NOT NULL, PRIMARY KEY (a)) DISTSTYLE KEY DISTKEY (a) SORTKEY (a)"], token="1"
    )
    redshift.run(["INSERT INTO t (a) VALUES ('abc')", "INSERT INTO t (a) VALUES ('abc')"], token="2")
    with pytest.raises(StatementError, match="CHECK"):
        redshift.run(["INSERT INTO t (a) VALUES ('äöü')"], token="3")


def test_a_token_starts_a_statement_once(redshift: Redshift) -> None:
    """The same token and statements give the same id; other statements under it are refused."""
    redshift.run(["CREATE TABLE t (a INTEGER)"], token="0")
    first = redshift.run(["INSERT INTO t (a) VALUES (1)"], token="1")
    assert redshift.run(["INSERT INTO t (a) VALUES (1)"], token="1") == first
    assert redshift.query("SELECT COUNT(*) AS n FROM t", token="2") == [{"n": 1}]


def test_an_unknown_statement_is_of_unknown_fate(redshift: Redshift) -> None:
    """After a restart the server does not know what was submitted before: that is an answer, not an error."""
    assert redshift.status("6f1f1d64-0000-0000-0000-000000000000").state is StatementState.UNKNOWN


def test_temporary_tables_end_with_the_batch(redshift: Redshift) -> None:
    """Two batches may use the same name for their staging table."""
    for token in ("1", "2"):
        redshift.run(["CREATE TEMP TABLE staging (a INTEGER)", "INSERT INTO staging (a) VALUES (1)"], token=token)


COPY = f"COPY t FROM 's3://b/m' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST"


def test_copy_loads_by_position(redshift: Redshift, s3: FakeS3) -> None:
    """Files of a manifest are loaded column by column in order, whatever the columns' names."""
    size = s3.put_table("f", pa.table({"x": pa.array([1, 2], pa.int64()), "y": ["a", None]}))
    s3.put_manifest("m", [("f", size)])
    redshift.run(["CREATE TABLE t (a BIGINT, b VARCHAR(10))", COPY], token="1")
    assert redshift.query("SELECT a, b FROM t ORDER BY a", token="2") == [{"a": 1, "b": "a"}, {"a": 2, "b": None}]


@pytest.mark.parametrize(
    "table,size,why",
    [
        (pa.table({"x": pa.array([1], pa.int64())}), 0, "number of columns"),
        (pa.table({"x": pa.array([1], pa.int32()), "y": ["a"]}), 0, "incompatible Parquet schema"),
        (pa.table({"x": pa.array([1], pa.int64()), "y": ["a"]}), 7, "its manifest says"),
        (pa.table({"x": pa.array([1], pa.int64()), "y": ["a" * 11]}), 0, "CHECK"),
    ],
)
def test_copy_refusals(redshift: Redshift, s3: FakeS3, table: pa.Table, size: int, why: str) -> None:
    """A file that Redshift would not load is refused, and nothing of it stays."""
    real = s3.put_table("f", table)
    s3.put_manifest("m", [("f", size or real)])
    redshift.run(["CREATE TABLE t (a BIGINT, b VARCHAR(10))"], token="1")
    with pytest.raises(StatementError, match=why):
        redshift.run([COPY], token="2")
    assert redshift.query("SELECT COUNT(*) AS n FROM t", token="3") == [{"n": 0}]


def test_copy_needs_every_mandatory_file(redshift: Redshift, s3: FakeS3) -> None:
    """A file that the manifest names and the bucket has not fails the load."""
    s3.put_manifest("m", [("gone", 10)])
    redshift.run(["CREATE TABLE t (a BIGINT)"], token="1")
    with pytest.raises(StatementError, match="Mandatory url"):
        redshift.run([COPY], token="2")
