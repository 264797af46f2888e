"""The reports: their SQL on the embedded warehouse, their charts, and the command."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from feed.cli.app import app
from feed.local.data_api.http import serve
from feed.reports import REPORTS, Palette, draw, read_only, sql_of
from schemas.change import Op
from schemas.errors import ConfigError
from tests.unit.analytics.loading import Process, change, record
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse

DOCS = Path(__file__).parents[3] / "docs"
BY_NAME = {report.name: report for report in REPORTS}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[MemoryWarehouse]:
    """Three orders: one is delivered after two hours, one is changed without news, one is deleted."""
    warehouse = MemoryWarehouse(MemoryStore())
    _, writer = Process(warehouse).open()
    lives = [
        ("o-1", [(0, "created"), (1_000, "paid"), (1_500, "paid"), (4_000, "packed"), (7_204_000, "delivered")]),
        ("o-2", [(2_000, "created"), (3_000, "cancelled")]),
        ("o-3", [(2_500, "created")]),
    ]
    flow = [(at, order, status) for order, steps in lives for at, status in steps]
    records = []
    for offset, (at, order, status) in enumerate(sorted(flow)):
        op = Op.CREATE if status == "created" else Op.UPDATE
        records.append(record(offset, change(at, order, sequence=offset + 1, op=op, status=status)))
    records.append(record(9, change(5, "o-3", sequence=90, op=Op.DELETE)))
    writer.add(records)
    writer.flush()
    yield warehouse
    warehouse.engine.close()


def rows_of(warehouse: MemoryWarehouse, name: str, bucket: str = "second") -> list[dict[str, object]]:
    """What a report answers."""
    return warehouse.rows(sql_of(BY_NAME[name], history="public.orders_history", bucket=bucket))


def test_orders_by_status(warehouse: MemoryWarehouse) -> None:
    """Each moment has the orders that stood in a status then; a change without news moves nobody; a delete leaves."""
    found = {(str(r["moment"])[11:], r["status"]): r["orders"] for r in rows_of(warehouse, "orders-by-status")}
    assert found == {
        ("16:00:00", "created"): 1,
        ("16:00:01", "created"): 0,
        ("16:00:01", "paid"): 1,
        ("16:00:02", "created"): 2,
        ("16:00:03", "cancelled"): 1,
        ("16:00:03", "created"): 1,
        ("16:00:04", "packed"): 1,
        ("16:00:04", "paid"): 0,
        ("16:00:05", "created"): 0,
        ("18:00:04", "delivered"): 1,
        ("18:00:04", "packed"): 0,
    }


def test_time_in_status(warehouse: MemoryWarehouse) -> None:
    """From the entry to the next status, whatever else changed meanwhile; those who are still there do not count."""
    found = {row["status"]: (row["orders"], row["p50_ms"]) for row in rows_of(warehouse, "time-in-status")}
    assert found == {"packed": (1, 7_200_000), "paid": (1, 3_000), "created": (3, 1_000)}


def test_throughput(warehouse: MemoryWarehouse) -> None:
    """Changes of each hour by what they did."""
    rows = rows_of(warehouse, "throughput", "hour")
    assert [(r["created"], r["updated"], r["deleted"], r["changes"]) for r in rows] == [(3, 4, 1, 8), (0, 1, 0, 1)]


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("palette", list(Palette))
def test_charts_are_pictures_with_names(warehouse: MemoryWarehouse, name: str, palette: Palette) -> None:
    """Each chart is well-formed, names what it shows beside the shapes, and stays within its frame."""
    text = draw(name, rows_of(warehouse, name, "minute"), bucket="minute", palette=palette)
    picture = ET.fromstring(text)
    words = {element.text for element in picture.iter() if element.tag.endswith("text")}
    assert BY_NAME[name].title.split()[0] in " ".join(str(word) for word in words) or name == "throughput"
    expected = {"throughput": {"created", "updated", "deleted"}, "time-in-status": {"created", "paid", "packed"}}
    assert words >= expected.get(name, {"created", "shipped", "delivered", "cancelled"})
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    for element in picture.iter():
        if element.tag.endswith("text"):
            assert 0 <= float(element.attrib["x"]) <= width
            assert 0 <= float(element.attrib["y"]) <= height


def test_the_document_shows_the_sql_and_the_pictures() -> None:
    """docs/analytics.md has each report's SQL as it is run, and the charts that are there."""
    text = (DOCS / "analytics.md").read_text(encoding="utf-8")
    for report in REPORTS:
        assert sql_of(report, history="public.orders_history", bucket="minute") in text, report.name
        for palette in Palette:
            file = f"pictures/{report.name}-{palette}.svg"
            assert file in text
            assert (DOCS / file).is_file()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- a comment\n WITH a AS (SELECT 1) SELECT * FROM a;",
        "SELECT 'DROP TABLE t; DELETE', \"update\" FROM t /* INSERT */",
        "EXPLAIN SELECT 1",
    ],
)
def test_what_reads_is_let_through(sql: str) -> None:
    """Words in texts, names and comments are no commands."""
    read_only(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "INSERT INTO t VALUES (1)",
        "SELECT 1; DROP TABLE t",
        "SELECT * INTO copy FROM t",
        "WITH a AS (SELECT 1) UPDATE t SET a = 1",
        "/* SELECT */ TRUNCATE t",
        "unload ('SELECT 1') to 's3://b/k'",
        "EXPLAIN DELETE FROM t",
        "",
        ";",
    ],
)
def test_what_writes_is_refused(sql: str) -> None:
    """Nothing that writes gets to the warehouse."""
    with pytest.raises(ConfigError):
        read_only(sql)


@given(st.text("';\"-/* \naSELECTDROPINTO", max_size=40))
def test_a_hidden_write_is_found(noise: str) -> None:
    """Whatever stands before it, a second statement is seen, unless it stands inside a text, a name or a comment."""
    open_text = noise.count("'") % 2 or noise.count('"') % 2 or "--" in noise or "/*" in noise
    if open_text:
        return
    with pytest.raises(ConfigError):
        read_only(f"SELECT 1 {noise}; DROP TABLE t")


@pytest.fixture
def config(warehouse: MemoryWarehouse, tmp_path: Path) -> Iterator[Path]:
    """A feed.yaml whose warehouse is here."""
    server = serve(warehouse.engine, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    aws = {
        "region": "ap-southeast-2",
        "endpoints": {"redshift-data": url},
        "access_key_id": "x",
        "secret_access_key": "x",
    }
    region = {"kafka": {"bootstrap_servers": "localhost:1"}, "aws": aws}
    document = {
        "feed": "orders",
        "table": {"name": "orders", "region": "ap", "key": ["orderId"], "image_schema": "order"},
        "regions": {"ap": region},
        "consumers": {
            "analytics": {
                "kind": "analytics",
                "region": "ap",
                "warehouse": {"workgroup": "local", "copy_role": "arn:aws:iam::1:role/copy", "poll_interval_ms": 10},
                "sink": {"bucket": "b"},
            }
        },
    }
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(document))
    yield file
    server.shutdown()
    thread.join()
    server.server_close()


def run(*words: str) -> tuple[int, str]:
    """The command's exit code and what it printed."""
    ended = CliRunner().invoke(app, ["analytics", *words])
    return ended.exit_code, ended.output


def test_the_query_command(config: Path) -> None:
    """Table, JSON and CSV; a limit that is named when it cuts; a write is refused and nothing is changed."""
    sql = "SELECT feed_ordinal FROM public.orders_history ORDER BY feed_ordinal"
    code, text = run("query", sql, "-c", str(config), "--limit", "3", "--csv")
    assert (code, text.splitlines()) == (
        0,
        ["feed_ordinal", "0", "5", "1000", "the first 3 of 9 rows; --limit shows more"],
    )
    code, text = run("query", sql, "-c", str(config), "--json")
    assert json.loads(text.splitlines()[0]) == {"feed_ordinal": 0}
    code, text = run("query", "SELECT status FROM public.orders WHERE order_id = 'o-1'", "-c", str(config))
    assert code == 0
    assert "delivered" in text
    ended = CliRunner().invoke(app, ["analytics", "query", "DELETE FROM public.orders_history", "-c", str(config)])
    assert isinstance(ended.exception, ConfigError) or ended.exit_code == 2
    code, text = run("query", "SELECT COUNT(*) AS n FROM public.orders_history", "-c", str(config), "--json")
    assert json.loads(text) == {"n": 9}


def test_the_report_command(config: Path, tmp_path: Path) -> None:
    """All three as tables, one as SQL, all drawn into a folder."""
    code, text = run("report", "-c", str(config), "--bucket", "hour")
    assert code == 0
    assert all(report.says in text for report in REPORTS)
    code, text = run("report", "throughput", "-c", str(config), "--sql")
    assert "GROUP BY 1" in text
    code, text = run("report", "-c", str(config), "--svg", str(tmp_path / "out"))
    assert (code, len(list((tmp_path / "out").glob("*.svg")))) == (0, 6)
    ended = CliRunner().invoke(app, ["analytics", "report", "no-such", "-c", str(config)])
    assert ended.exit_code != 0
