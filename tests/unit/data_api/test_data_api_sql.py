"""The local Data API: what Redshift refuses is refused, what it accepts is executed."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest

from connectors.redshift import Redshift, StatementError, StatementState
from feed.local.data_api import Refused
from feed.local.data_api.translation import Act, translate
from schemas.errors import FatalError
from tests.unit.data_api.bucket import FakeS3

ROLE = "arn:aws:iam::1:role/copy"


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
        (f"MERGE INTO t USING s ON t.a = s.a {UPDATE.replace('SET b', 'SET t.b')} {INSERT}", "without its table"),
        ("INSERT INTO t (a) VALUES (1) RETURNING a", "RETURNING"),
        ("CREATE TABLE t (a DECIMAL(39,2))", "precision"),
        ("CREATE TABLE t (a SUPER) DISTKEY (a)", "SUPER column"),
        (f"CREATE TABLE t ({', '.join(f'c{n} INTEGER' for n in range(1601))})", "1600 columns"),
        (f"CREATE TABLE {'t' * 128} (a INTEGER)", "127 bytes"),
        ("ALTER TABLE t ADD COLUMN a INTEGER NOT NULL", "NOT NULL"),
        ("ALTER TABLE t ADD COLUMN a INTEGER UNIQUE", "no key"),
        ("ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(300)", "transaction block"),
        ("SELECT COUNT(*) FILTER (WHERE a > 1) FROM t", "FILTER"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT ON"),
        ("SELECT a FROM t, LATERAL (SELECT 1) AS x", "LATERAL"),
        ("SELECT * FROM generate_series(1, 3)", "generate_series"),
        ("SELECT epoch_ms(a) FROM t", "epoch_ms does not exist"),
        ("SELECT list_sort(a) FROM t", "list_sort does not exist"),
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
    digits = "(" + " UNION ALL ".join(f"SELECT {n} AS d" for n in range(50)) + ")"
    rows = redshift.query(f"SELECT a.d * 50 + b.d AS n FROM {digits} AS a, {digits} AS b ORDER BY n", token="1")
    assert [row["n"] for row in rows] == list(range(2500))


def test_lock_needs_the_table(redshift: Redshift) -> None:
    """LOCK of a table that is not there fails, as every statement that names it."""
    redshift.run(["CREATE TABLE public.t (a INTEGER)"], token="1")
    redshift.run(["LOCK TABLE public.t", "INSERT INTO public.t (a) VALUES (1)"], token="2")
    with pytest.raises(StatementError, match="does not exist"):
        redshift.run(["LOCK TABLE public.u"], token="3")


def test_names_are_folded(redshift: Redshift) -> None:
    """Also a quoted name is lower case, as it is in Redshift unless a session asks otherwise."""
    redshift.run(['CREATE TABLE public."T" ("orderId" INTEGER)', 'INSERT INTO public.t ("ORDERID") VALUES (1)'])
    assert redshift.query('SELECT "orderId" AS "Total" FROM public.t') == [{"total": 1}]


def test_nested_data_is_super(redshift: Redshift) -> None:
    """JSON_PARSE makes SUPER, refuses what is no JSON, and the catalog knows the type."""
    redshift.run(["CREATE TABLE public.t (a SUPER)", """INSERT INTO public.t (a) SELECT JSON_PARSE('[{"b": 1}]')"""])
    assert redshift.query("SELECT a FROM public.t") == [{"a": '[{"b":1}]'}]
    rows = redshift.query("SELECT data_type FROM svv_columns WHERE table_name = 't'")
    assert rows == [{"data_type": "super"}]
    with pytest.raises(StatementError, match="JSON"):
        redshift.run(["INSERT INTO public.t (a) SELECT JSON_PARSE('{')"])


def test_two_rows_for_one_are_no_merge(redshift: Redshift) -> None:
    """Two source rows for one target row fail the MERGE, where DuckDB would take one of them."""
    redshift.run(["CREATE TABLE t (a INTEGER, b INTEGER)", "CREATE TABLE s (a INTEGER, b INTEGER)"])
    redshift.run(["INSERT INTO t (a, b) VALUES (1, 0)", "INSERT INTO s (a, b) VALUES (1, 1), (1, 2), (2, 3)"])
    merge = (
        f"MERGE INTO t USING s ON t.a = s.a {UPDATE} {INSERT.replace('(a)', '(a, b)').replace('(s.a)', '(s.a, s.b)')}"
    )
    with pytest.raises(StatementError, match="multiple matches"):
        redshift.run([merge])
    redshift.run(["DELETE FROM s WHERE b = 2", merge])
    assert redshift.query("SELECT a, b FROM t ORDER BY a") == [{"a": 1, "b": 1}, {"a": 2, "b": 3}]


def test_a_view_is_no_source_of_a_merge(redshift: Redshift) -> None:
    """MERGE reads tables only."""
    redshift.run(["CREATE TABLE public.t (a INTEGER, b INTEGER)", "CREATE VIEW public.s AS SELECT a, b FROM public.t"])
    with pytest.raises(StatementError, match="not a view"):
        redshift.run([f"MERGE INTO public.t USING public.s ON public.t.a = public.s.a {UPDATE} {INSERT}"])


def test_a_view_keeps_its_columns(redshift: Redshift) -> None:
    """CREATE OR REPLACE VIEW takes the same columns only; the table under a view cannot be dropped."""
    redshift.run(["CREATE TABLE public.t (a INTEGER, b INTEGER)", "CREATE VIEW public.v AS SELECT a FROM public.t"])
    redshift.run(["CREATE OR REPLACE VIEW public.v AS SELECT a FROM public.t WHERE a > 1"])
    with pytest.raises(StatementError, match="columns of a view"):
        redshift.run(["CREATE OR REPLACE VIEW public.v AS SELECT a, b FROM public.t"])
    with pytest.raises(StatementError, match="depends on it"):
        redshift.run(["DROP TABLE public.t"])
    redshift.run(["DROP VIEW public.v", "DROP TABLE public.t"])


def test_a_text_column_without_a_length_has_256_bytes(redshift: Redshift) -> None:
    """VARCHAR alone is VARCHAR(256)."""
    redshift.run(["CREATE TABLE t (a VARCHAR)", f"INSERT INTO t (a) VALUES ('{'x' * 256}')"])
    with pytest.raises(StatementError, match="CHECK"):
        redshift.run([f"INSERT INTO t (a) VALUES ('{'x' * 257}')"])


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


def test_a_token_with_other_statements_is_refused(redshift: Redshift) -> None:
    """The same token for something else is an error of the client, not a second meaning."""
    redshift.run(["CREATE TABLE t (a INTEGER)"], token="1")
    with pytest.raises(FatalError, match="other parameters"):
        redshift.run(["CREATE TABLE u (a INTEGER)"], token="1")


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


@pytest.mark.parametrize(
    "sql,why",
    [
        (COPY.replace(f"IAM_ROLE '{ROLE}' ", ""), "IAM_ROLE or credentials"),
        (COPY + " DELIMITER ','", "not supported for PARQUET|syntax"),
        (COPY.replace("FORMAT AS PARQUET MANIFEST", "FORMAT AS PARQUET"), "not emulated"),
    ],
)
def test_copy_needs_a_role_and_takes_few_parameters(redshift: Redshift, s3: FakeS3, sql: str, why: str) -> None:
    """COPY of a columnar file takes a role and next to nothing else."""
    size = s3.put_table("f", pa.table({"x": pa.array([1], pa.int64())}))
    s3.put_manifest("m", [("f", size)])
    redshift.run(["CREATE TABLE t (a BIGINT)"], token="1")
    with pytest.raises(StatementError, match=why):
        redshift.run([sql], token="2")


@pytest.mark.parametrize(
    "entries,why",
    [([], "no files found"), ([{"url": "s3://b/f", "mandatory": True}], "content_length")],
)
def test_copy_reads_its_manifest(redshift: Redshift, s3: FakeS3, entries: list[dict[str, object]], why: str) -> None:
    """A manifest names files, and of a columnar one its size."""
    s3.put_table("f", pa.table({"x": pa.array([1], pa.int64())}))
    s3.objects["m"] = json.dumps({"entries": entries}).encode()
    redshift.run(["CREATE TABLE t (a BIGINT)"], token="1")
    with pytest.raises(StatementError, match=why):
        redshift.run([COPY], token="2")


def test_truncate_commits(redshift: Redshift) -> None:
    """What stands before a TRUNCATE in its batch stays, though the batch fails later."""
    redshift.run(["CREATE TABLE t (a INTEGER)", "CREATE TABLE u (a INTEGER)"])
    with pytest.raises(StatementError):
        redshift.run(["INSERT INTO t (a) VALUES (1)", "TRUNCATE TABLE u", "SELECT nothing"])
    assert redshift.query("SELECT COUNT(*) AS n FROM t") == [{"n": 1}]
