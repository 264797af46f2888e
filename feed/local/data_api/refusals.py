"""What Redshift refuses and DuckDB would take. Pure: looks at a statement; what needs the tables is in checks.py.

Each refusal has its source in the Amazon Redshift Database Developer Guide, on the page of the command that it names.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from feed.local.data_api.statements import Refused

MAX_VARCHAR: Final = 65_535
MAX_IDENTIFIER_BYTES: Final = 127
MAX_COLUMNS: Final = 1_600
MAX_PRECISION: Final = 38

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
        exp.DataType.Type.SUPER,
        exp.DataType.Type.TIMESTAMP,
        exp.DataType.Type.VARCHAR,
    }
)
"""Types that mean the same in both, and SUPER, which is JSON here. Redshift has more, which are not emulated."""

_SHARED_FUNCTIONS: Final = frozenset({"LEN", "LISTAGG"})
"""Functions that the parser does not know and both have; of any other one Redshift says that it does not exist."""


def refuse(tree: exp.Expression) -> None:
    """Raise what Redshift would.

    Raises:
        Refused: in words close to its own.
    """
    for rule in (_merge, _create, _alter, _insert, _types, _names, _queries):
        rule(tree)


def _merge(tree: exp.Expression) -> None:
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
        if isinstance(then, exp.Update) and any(
            isinstance(change.this, exp.Column) and change.this.table for change in then.expressions
        ):
            raise Refused("ERROR: syntax error: a column that MERGE sets is named without its table")
        if isinstance(then, exp.Insert) and not isinstance(then.expression, exp.Tuple):
            raise Refused("ERROR: the INSERT of a MERGE needs its list of columns here: without it, order decides")


def _create(tree: exp.Expression) -> None:
    if not isinstance(tree, exp.Create):
        return
    if tree.args.get("replace") and tree.args.get("kind") != "VIEW":
        raise Refused("ERROR: syntax error at or near REPLACE: Redshift replaces views only")
    if len(list(tree.find_all(exp.ColumnDef))) > MAX_COLUMNS:
        raise Refused(f"ERROR: tables can have at most {MAX_COLUMNS} columns")
    for key in tree.find_all(exp.DistKeyProperty, exp.SortKeyProperty):
        named = {found.name.lower() for found in key.find_all(exp.Identifier)}
        supers = {c.name.lower() for c in tree.find_all(exp.ColumnDef) if _is_super(c)}
        if named & supers:
            raise Refused("ERROR: a SUPER column cannot be a distribution or sort key")


def _is_super(column: exp.ColumnDef) -> bool:
    return column.kind is not None and column.kind.this == exp.DataType.Type.SUPER


def _alter(tree: exp.Expression) -> None:
    """ALTER TABLE: one column at a time, no IF NOT EXISTS, no other type, no NOT NULL without a default."""
    if not isinstance(tree, exp.Alter):
        return
    actions = tree.args.get("actions") or []
    if len(actions) != 1:
        raise Refused("ERROR: ALTER TABLE adds one column in each statement")
    if any(action.args.get("exists") for action in actions):
        raise Refused("ERROR: syntax error at or near IF: ADD COLUMN takes no IF NOT EXISTS")
    for action in actions:
        if isinstance(action, exp.AlterColumn):
            raise Refused("ERROR: ALTER COLUMN cannot run inside a transaction block")
        if isinstance(action, exp.ColumnDef):
            kinds = {type(constraint.kind) for constraint in action.constraints}
            if exp.NotNullColumnConstraint in kinds and exp.DefaultColumnConstraint not in kinds:
                raise Refused("ERROR: ADD COLUMN defined as NOT NULL must have a non-null default expression")
            if kinds & {exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint}:
                raise Refused("ERROR: ALTER TABLE ADD COLUMN takes no key")


def _insert(tree: exp.Expression) -> None:
    if tree.find(exp.OnConflict) or tree.find(exp.Returning):
        raise Refused("ERROR: syntax error: Redshift has neither ON CONFLICT nor RETURNING")


def _types(tree: exp.Expression) -> None:
    for kind in tree.find_all(exp.DataType):
        if kind.this not in _KNOWN_TYPES:
            raise Refused(f"not emulated: type {kind.sql('redshift')}")
        size = kind.find(exp.DataTypeParam)
        if kind.this == exp.DataType.Type.VARCHAR and size is not None and int(size.name) > MAX_VARCHAR:
            raise Refused(f"ERROR: length of type VARCHAR is limited to {MAX_VARCHAR}")
        if kind.this == exp.DataType.Type.DECIMAL and size is not None and int(size.name) > MAX_PRECISION:
            raise Refused(f"ERROR: DECIMAL precision {size.name} must be between 1 and {MAX_PRECISION}")


def _names(tree: exp.Expression) -> None:
    """Names and identifiers."""
    for identifier in tree.find_all(exp.Identifier):
        if len(identifier.name.encode()) > MAX_IDENTIFIER_BYTES:
            raise Refused(f"ERROR: identifier is longer than {MAX_IDENTIFIER_BYTES} bytes: {identifier.name[:40]}…")


def _queries(tree: exp.Expression) -> None:
    """SELECT: PostgreSQL's and DuckDB's forms that Redshift does not have."""
    if tree.find(exp.Filter):
        raise Refused("ERROR: syntax error at or near FILTER: use SUM(CASE WHEN … THEN 1 ELSE 0 END)")
    if any(distinct.args.get("on") for distinct in tree.find_all(exp.Distinct)):
        raise Refused("ERROR: SELECT DISTINCT ON is not supported")
    if tree.find(exp.Lateral) or tree.find(exp.Unnest):
        raise Refused("ERROR: LATERAL and UNNEST are not supported")
    if tree.find(exp.GenerateSeries):
        raise Refused("ERROR: function generate_series runs on the leader node only, not with tables")
    for function in tree.find_all(exp.Anonymous):
        if function.name.upper() not in _SHARED_FUNCTIONS:
            raise Refused(f"ERROR: function {function.name.lower()} does not exist")
