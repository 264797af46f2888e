"""Redshift's SQL into DuckDB's. What Redshift refuses is refused before (refusals.py). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import sqlglot
from sqlglot import exp

from feed.local.data_api.refusals import refuse
from feed.local.data_api.statements import Refused

_NOT_EMULATED: Final = frozenset({"CALL", "UNLOAD", "VACUUM", "ANALYZE", "GRANT", "REVOKE", "SET", "SHOW"})
DEFAULT_LENGTH: Final = {exp.DataType.Type.VARCHAR: 256, exp.DataType.Type.CHAR: 1}
"""Bytes of a text column whose declaration names none."""

_INFORMATIONAL: Final = (
    exp.PrimaryKey,
    exp.PrimaryKeyColumnConstraint,
    exp.UniqueColumnConstraint,
    exp.EncodeColumnConstraint,
    exp.ForeignKey,
)


class Act(Enum):
    """What is to be done with a translated statement."""

    EXECUTE = "execute"
    QUERY = "query"
    COPY = "copy"
    LOCK = "lock"
    MERGE = "merge"
    """Refused when two rows of the source match one of the target, or the source is a view."""
    DROP_TABLE = "drop table"
    """Refused while a view depends on it."""
    REPLACE_VIEW = "replace view"
    """Refused when the new view has other columns."""
    COMMIT_FIRST = "commit first"
    """TRUNCATE commits the transaction it runs in."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement for DuckDB."""

    act: Act
    sql: str
    tables: tuple[str, ...] = ()
    """What a LOCK names."""
    tree: exp.Expression | None = None


def translate(sql: str) -> Translated:
    """Redshift's statement for DuckDB.

    Raises:
        Refused: Redshift refuses it, or it is not emulated.
    """
    word = sql.strip().partition(" ")[0].upper()
    if word in _NOT_EMULATED:
        raise Refused(f"not emulated: {word}")
    if word == "LOCK":
        return _lock(sql)
    if word in {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"}:
        raise Refused(f"ERROR: {word} is not allowed: the Data API runs a batch as one transaction of its own")
    tree = _parse(sql)
    refuse(tree)
    _fold(tree)
    if isinstance(tree, exp.Copy):
        return Translated(Act.COPY, sql, tree=tree)
    if isinstance(tree, exp.TruncateTable):
        return Translated(Act.COMMIT_FIRST, tree.sql("duckdb"))
    if isinstance(tree, exp.Create):
        _without_informational(tree)
        _enforce_lengths(tree)
    for kind in tree.find_all(exp.DataType):
        if kind.this == exp.DataType.Type.SUPER:
            kind.set("this", exp.DataType.Type.JSON)
    return Translated(_act_of(tree), tree.sql("duckdb"), tree=tree)


def _act_of(tree: exp.Expression) -> Act:
    match tree:
        case exp.Merge():
            return Act.MERGE
        case exp.Drop() if tree.args.get("kind") == "TABLE":
            return Act.DROP_TABLE
        case exp.Create() if tree.args.get("replace"):
            return Act.REPLACE_VIEW
        case exp.Query():
            return Act.QUERY
        case _:
            return Act.EXECUTE


def _fold(tree: exp.Expression) -> None:
    """Identifiers are lower case in Redshift, also quoted ones (``enable_case_sensitive_identifier`` is off)."""
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("this", identifier.name.lower())


def _parse(sql: str) -> exp.Expression:
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect="redshift") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise Refused(f"ERROR: syntax error: {str(error)[:200]}") from error
    if len(trees) != 1:
        raise Refused("ERROR: cannot insert multiple commands into a prepared statement")
    tree: Any = trees[0]
    if isinstance(tree, exp.Command):
        raise Refused(f"not emulated: {sql[:60]}")
    return tree  # type: ignore[no-any-return]  # sqlglot types its roots too widely


def _lock(sql: str) -> Translated:
    found = re.fullmatch(r"(?is)\s*LOCK\s+(?:TABLE\s+)?([\w.]+(?:\s*,\s*[\w.]+)*)\s*;?\s*", sql)
    if found is None:
        raise Refused("ERROR: syntax error in LOCK")
    return Translated(Act.LOCK, "", tuple(re.split(r"\s*,\s*", found[1].lower())))


def _without_informational(tree: exp.Create) -> None:
    """Keys are hints to Redshift's planner and are not enforced; distribution and sort order mean nothing here."""
    for node in list(tree.find_all(*_INFORMATIONAL)):
        (node.parent if isinstance(node.parent, exp.ColumnConstraint) else node).pop()
    if tree.args.get("kind") == "TABLE":
        kept = [
            entry
            for entry in (tree.args.get("properties") or exp.Properties()).expressions
            if isinstance(entry, exp.TemporaryProperty)
        ]
        tree.set("properties", exp.Properties(expressions=kept) if kept else None)


def _enforce_lengths(tree: exp.Create) -> None:
    """VARCHAR(n) holds n bytes in Redshift; DuckDB ignores n, so it becomes a CHECK."""
    for column in tree.find_all(exp.ColumnDef):
        size = column.kind.find(exp.DataTypeParam) if column.kind is not None else None
        if column.kind is None or column.kind.this not in {exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR}:
            continue
        name = column.this.sql("duckdb")
        length = size.name if size is not None else DEFAULT_LENGTH[column.kind.this]
        check = exp.CheckColumnConstraint(this=sqlglot.parse_one(f"STRLEN({name}) <= {length}", dialect="duckdb"))
        column.append("constraints", exp.ColumnConstraint(kind=check))
