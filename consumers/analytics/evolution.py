"""What a newer image schema changes in tables that exist: columns that are added, types that widen, the view. Pure.

Redshift changes no column's type (but VARCHAR's width), and replaces a view only by one with the same columns (its
guide, ALTER TABLE and CREATE VIEW). So a column that widens is a copy of its table, and a view that changes is made
anew.
"""

# ruff: noqa: S608 - every name and literal is quoted here, and none comes from a record

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumers.analytics.columns import SUPER, Column
from consumers.analytics.tables import Tables, literal, names, quoted
from schemas.change import Op
from schemas.errors import ConfigError

Present = Mapping[str, str]
"""The columns that a table or a view has: name → type as Redshift declares it, without a text's width."""

_CATALOG_WORDS: Final[Mapping[str, str]] = {
    "character varying": "VARCHAR",
    "timestamp without time zone": "TIMESTAMP",
}
"""Types whose names in the catalog are not those of a declaration."""

_WIDENS: Final = frozenset({("INTEGER", "BIGINT"), ("INTEGER", "DOUBLE PRECISION"), ("REAL", "DOUBLE PRECISION")})
"""Types that hold every value of another one: what Avro's own rules allow a schema to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """The columns as the warehouse has them; a view that is not there has none."""

    current: Present
    history: Present
    view: Present


def columns_query(tables: Tables) -> str:
    """All columns of the tables and the view, in one answer."""
    described = [name.partition(".")[2] for name in (tables.current, tables.history, tables.view)]
    return (
        "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale FROM svv_columns "
        f"WHERE table_schema = {literal(tables.schema)} AND table_name IN ({', '.join(map(literal, described))})"
    )


def found_of(tables: Tables, rows: Sequence[Mapping[str, object]]) -> Found:
    """The answer to :func:`columns_query`."""
    by_table: dict[object, dict[str, str]] = {}
    for row in rows:
        by_table.setdefault(row["table_name"], {})[str(row["column_name"])] = _declared(row)
    current, history, view = (
        by_table.get(name.partition(".")[2], {}) for name in (tables.current, tables.history, tables.view)
    )
    return Found(current, history, view)


def evolve(tables: Tables, found: Found) -> list[str]:
    """The statements that make the tables fit; none when they do. Each one once, in one transaction, behind the lock.

    Raises:
        ConfigError: a column has a type that the new one cannot hold.
    """
    changes = [
        *_evolve_table(tables, tables.current, (*tables.current_columns, _DELETED), found.current),
        *_evolve_table(tables, tables.history, tables.history_columns, found.history),
    ]
    same_view = {column.name: _bare(column.redshift) for column in tables.image} == dict(found.view)
    if same_view and not changes:
        return []
    return [
        f"LOCK TABLE {tables.ledger}",
        f"DROP VIEW IF EXISTS {tables.view}",
        *changes,
        tables.create_view(),
    ]


_DELETED: Final = Column("feed_deleted", "BOOLEAN", None)  # type: ignore[arg-type]  # it is never staged


def _evolve_table(tables: Tables, table: str, wanted: Sequence[Column], present: Present) -> list[str]:
    new = [column for column in wanted if column.name not in present]
    widened = [c for c in wanted if c.name in present and present[c.name] != _bare(c.redshift)]
    added = [f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {column.redshift}" for column in new]
    # the image of a deleted item has no fields, so it has no defaults either
    living = f"WHERE feed_op <> {literal(Op.DELETE)}"
    filled = [
        f"UPDATE {table} SET {quoted(column.name)} = {_default(column)} {living}"
        for column in new
        if column.default is not None
    ]
    return [*(_copy(tables, table, wanted, present, widened) if widened else added), *filled]


def _copy(
    tables: Tables, table: str, wanted: Sequence[Column], present: Present, widened: Sequence[Column]
) -> list[str]:
    """A deep copy, with the wider types."""
    faults = [
        f"column {column.name} of {table} is {present[column.name]}, and the image schema needs {column.redshift}"
        for column in widened
        if not _can_widen(present[column.name], _bare(column.redshift))
    ]
    faults += [f"column {name} of {table} is none of the feed's" for name in set(present) - {c.name for c in wanted}]
    if faults:
        hint = "rename the tables: new ones are made, and `feed snapshot` fills them; nothing was changed"
        raise ConfigError(faults[0], hint=hint, faults=tuple(faults))
    name = table.partition(".")[2]
    kept = [column for column in wanted if column.name in present]
    values = ", ".join(_widen(column) if column in widened else quoted(column.name) for column in kept)
    create = next(text for text in tables.create() if f"EXISTS {table} " in text)
    # by a temporary table, since a renamed one would keep the name of its key, which the new one needs
    return [
        f"CREATE TEMP TABLE {name}_narrow AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        create,
        f"INSERT INTO {table} ({names(kept)}) SELECT {values} FROM {name}_narrow",
    ]


def _widen(column: Column) -> str:
    name = quoted(column.name)
    return f"JSON_PARSE({name})" if column.redshift == SUPER else f"CAST({name} AS {column.redshift})"


def _can_widen(present: str, wanted: str) -> bool:
    if (present, wanted) in _WIDENS or (present, wanted) == ("VARCHAR", SUPER):
        return True
    old, new = (re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind) for kind in (present, wanted))
    return bool(old and new and old[2] == new[2] and int(old[1]) <= int(new[1]))


def _default(column: Column) -> str:
    if column.redshift == SUPER:
        return f"JSON_PARSE({literal(column.default)})"
    if isinstance(column.default, bool):
        return str(column.default).upper()
    return literal(column.default) if isinstance(column.default, str) else str(column.default)


def _bare(declared: str) -> str:
    """Without a text's width, which no value of the feed goes beyond."""
    return declared.partition("(")[0] if declared.startswith("VARCHAR") else declared


def _declared(row: Mapping[str, object]) -> str:
    word = str(row["data_type"]).lower()
    if word in {"numeric", "decimal"}:
        return f"DECIMAL({row['numeric_precision']},{row['numeric_scale']})"
    return _CATALOG_WORDS.get(word, word.upper())
