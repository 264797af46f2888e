"""Redshift's SQL into DuckDB's, and Redshift's refusals, which DuckDB does not share. Pure.

Each refusal has its source in the Amazon Redshift Database Developer Guide, in the page of the command that it names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import sqlglot
from sqlglot import exp

from feed.local.data_api.statements import Refused

MAX_VARCHAR: Final = 65_535

_KNOWN_TYPES: Final = frozenset(
    {
        exp.DataType.Type.BIGINT,
        exp.DataType.Type.BOOLEAN,
        exp.DataType.Type.CHAR,
        exp.DataType.Type.DATE,
        exp.DataType.Type.DECIMAL,
        exp.DataType.Type.DOUBLE,
        exp.DataType.Type.FLOAT,
        exp.DataType.Type.INT,
        exp.DataType.Type.SMALLINT,
        exp.DataType.Type.TIMESTAMP,
        exp.DataType.Type.VARCHAR,
    }
)
"""Types that mean the same in both. Redshift has more (SUPER, TIMESTAMPTZ, …), which are not emulated."""

_NOT_EMULATED: Final = frozenset({"CALL", "UNLOAD", "VACUUM", "ANALYZE", "GRANT", "REVOKE", "SET", "SHOW"})
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
    BEGIN = "begin"
    COMMIT_FIRST = "commit first"
    """TRUNCATE commits the transaction it runs in."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement for DuckDB."""

    act: Act
    sql: str
    copy: exp.Copy | None = None


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
    for refuse in (_refuse_merge, _refuse_create, _refuse_alter, _refuse_insert, _refuse_types):
        refuse(tree)
    if isinstance(tree, exp.Copy):
        return Translated(Act.COPY, sql, tree)
    if isinstance(tree, exp.TruncateTable):
        return Translated(Act.COMMIT_FIRST, tree.sql("duckdb"))
    if isinstance(tree, exp.Create):
        _without_informational(tree)
        _enforce_lengths(tree)
    act = Act.QUERY if isinstance(tree, exp.Query) else Act.EXECUTE
    return Translated(act, tree.sql("duckdb"))


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
    if not re.fullmatch(r"(?is)\s*LOCK\s+(TABLE\s+)?[\w.]+(\s*,\s*[\w.]+)*\s*;?\s*", sql):
        raise Refused("ERROR: syntax error in LOCK")
    return Translated(Act.LOCK, "")


def _refuse_merge(tree: exp.Expression) -> None:
    """MERGE: no alias of the target, no subquery as source, no condition after MATCHED, one of each branch."""
    if not isinstance(tree, exp.Merge):
        return
    if tree.this.alias:
        raise Refused("ERROR: syntax error: the target of MERGE takes no alias")
    if not isinstance(tree.args["using"], exp.Table):
        raise Refused("ERROR: the source of MERGE must be a table, not a subquery")
    branches = tree.args["whens"].expressions
    if any(branch.args.get("condition") for branch in branches):
        raise Refused("ERROR: syntax error at or near AND: WHEN MATCHED takes no condition")
    if sorted(bool(branch.args.get("matched")) for branch in branches) != [False, True]:
        raise Refused("ERROR: MERGE needs exactly one WHEN MATCHED and one WHEN NOT MATCHED")
    for branch in branches:
        then = branch.args["then"]
        if isinstance(then, exp.Insert) and not isinstance(then.expression, exp.Tuple):
            raise Refused("ERROR: the INSERT of a MERGE needs its list of columns here: without it, order decides")


def _refuse_create(tree: exp.Expression) -> None:
    if isinstance(tree, exp.Create) and tree.args.get("replace") and tree.args.get("kind") != "VIEW":
        raise Refused("ERROR: syntax error at or near REPLACE: Redshift replaces views only")


def _refuse_alter(tree: exp.Expression) -> None:
    """ALTER TABLE: one column at a time, and no IF NOT EXISTS."""
    if not isinstance(tree, exp.Alter):
        return
    actions = tree.args.get("actions") or []
    if len(actions) != 1:
        raise Refused("ERROR: ALTER TABLE adds one column in each statement")
    if any(action.args.get("exists") for action in actions):
        raise Refused("ERROR: syntax error at or near IF: ADD COLUMN takes no IF NOT EXISTS")


def _refuse_insert(tree: exp.Expression) -> None:
    if tree.find(exp.OnConflict) or tree.find(exp.Returning):
        raise Refused("ERROR: syntax error: Redshift has neither ON CONFLICT nor RETURNING")


def _refuse_types(tree: exp.Expression) -> None:
    for kind in tree.find_all(exp.DataType):
        if kind.this not in _KNOWN_TYPES:
            raise Refused(f"not emulated: type {kind.sql('redshift')}")
        size = kind.find(exp.DataTypeParam)
        if kind.this == exp.DataType.Type.VARCHAR and size is not None and int(size.name) > MAX_VARCHAR:
            raise Refused(f"ERROR: length of type VARCHAR is limited to {MAX_VARCHAR}")


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
        if (
            column.kind is None
            or size is None
            or column.kind.this
            not in {
                exp.DataType.Type.VARCHAR,
                exp.DataType.Type.CHAR,
            }
        ):
            continue
        name = column.this.sql("duckdb")
        check = exp.CheckColumnConstraint(this=sqlglot.parse_one(f"STRLEN({name}) <= {size.name}", dialect="duckdb"))
        column.append("constraints", exp.ColumnConstraint(kind=check))
