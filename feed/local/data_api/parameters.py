"""Named parameters of the Data API: ``:name`` in the text, a value as text. Pure.

Amazon Redshift Data API guide, "Running SQL statements with parameters": values only, never names of things; the
database converts the text. Every parameter must be used by a statement, and every name in a statement must have one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from feed.local.data_api.statements import Refused

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|::|:([A-Za-z_]\w*)")
"""Text, quoted names, comments and casts are passed over; what the group matches is a parameter."""


def with_values(sqls: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The statements with their parameters' values as literals.

    Raises:
        Refused: a parameter has no value, an empty one, or is used nowhere.
    """
    used: set[str] = set()

    def literal(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        if name not in values:
            raise Refused(f"Parameter {name} is not given")
        used.add(name)
        return "'" + values[name].replace("'", "''") + "'"

    if any(value == "" for value in values.values()):
        raise Refused("Value at 'parameters' must have length greater than or equal to 1")
    replaced = [_TOKEN.sub(literal, sql) for sql in sqls]
    unused = sorted(set(values) - used)
    if unused:
        raise Refused(f"Parameters list contains unused parameters: {', '.join(unused)}")
    return replaced
