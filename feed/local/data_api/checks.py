"""What Redshift refuses when it looks at the tables, and DuckDB would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from feed.local.data_api.statements import Refused

if TYPE_CHECKING:
    import duckdb

CATALOG = """
    CREATE OR REPLACE VIEW svv_columns AS SELECT table_catalog, table_schema, table_name, column_name, ordinal_position,
        CASE WHEN data_type = 'JSON' THEN 'super' WHEN data_type = 'VARCHAR' THEN 'character varying'
            WHEN data_type = 'DOUBLE' THEN 'double precision' WHEN data_type = 'FLOAT' THEN 'real'
            WHEN data_type = 'TIMESTAMP' THEN 'timestamp without time zone'
            WHEN data_type LIKE 'DECIMAL%' THEN 'numeric' ELSE LOWER(data_type) END AS data_type,
        numeric_precision, numeric_scale
    FROM information_schema.columns WHERE table_schema <> 'main'"""
"""Redshift's catalog view of columns, as far as a client of ours looks: SVV_COLUMNS."""


def lock(connection: duckdb.DuckDBPyConnection, tables: tuple[str, ...]) -> None:
    """LOCK: one thread executes everything, so that each batch holds every lock; but the tables must be there."""
    for table in tables:
        if not columns_of(connection, table):
            raise Refused(f'ERROR: relation "{table}" does not exist')


def merge(connection: duckdb.DuckDBPyConnection, tree: exp.Expression) -> None:
    """MERGE: the source is a table, and no row of the target has two in it.

    DuckDB takes any of the two; Redshift fails.
    """
    target, source = tree.this.sql("duckdb"), tree.args["using"]
    if tree.args.get("with_") or tree.args.get("with"):
        raise Refused("ERROR: MERGE takes no WITH")
    if source.name in {name for name, _ in _views(connection)}:
        raise Refused("ERROR: the source of MERGE must be a table, not a view")
    on = tree.args["on"].sql("duckdb")
    twice = f"SELECT 1 FROM {target} JOIN {source.sql('duckdb')} ON {on} GROUP BY {target}.rowid HAVING COUNT(*) > 1"  # noqa: S608 - a statement of the client's own
    if connection.execute(twice).fetchone() is not None:
        raise Refused("ERROR: Found multiple matches to update the same tuple.")


def drop_table(connection: duckdb.DuckDBPyConnection, tree: exp.Expression) -> None:
    """DROP TABLE without CASCADE: no view may depend on it."""
    if tree.args.get("cascade"):
        return
    dropped = {table.name for table in tree.find_all(exp.Table)}
    for view, text in _views(connection):
        used = {table.name for table in sqlglot.parse_one(text, dialect="duckdb").find_all(exp.Table)} - {view}
        if dropped & used:
            raise Refused(f"ERROR: cannot drop table {', '.join(dropped)} because view {view} depends on it")


def replace_view(connection: duckdb.DuckDBPyConnection, view: str, sql: str) -> None:
    """CREATE OR REPLACE VIEW: only by one with the same columns and types."""
    before = columns_of(connection, view)
    connection.execute(sql)
    if before and columns_of(connection, view) != before:
        raise Refused("ERROR: cannot change the columns of a view: drop it and create it anew")


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """Names and types; empty when there is no such table or view."""
    schema, _, name = table.rpartition(".")
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ? "
        "AND (table_schema = ? OR ? = '') ORDER BY ordinal_position",
        [name, schema, schema],
    ).fetchall()
    return [(str(column), str(kind)) for column, kind in found]


def _views(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, Any]]:
    query = "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND schema_name <> 'main'"
    return list(connection.execute(query).fetchall())
