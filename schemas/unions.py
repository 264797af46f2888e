"""Images with the branches of their unions named, so that fastavro need not find them out.

For a nullable field fastavro tries each branch on the value, be it a decimal or a whole list of records, before it
writes it. Given ``(branch, value)`` it does not. Compiled once for a schema; only fields that need it are touched, on
copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Namer = Callable[[Any], Any]


_UNNAMED = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string", "array", "map"})
"""What a union's branch is called by. A named type's full name only its context tells: that is left to fastavro."""


def union_namer(schema: Any) -> Namer | None:
    """What names the branches within values of ``schema``; None when there is nothing to name."""
    if isinstance(schema, list):
        return _nullable([branch for branch in schema if branch != "null"])
    if not isinstance(schema, Mapping):
        return None
    match schema["type"]:
        case "record":
            return _record(schema)
        case "array":
            return _each(union_namer(schema["items"]))
        case "map":
            return _each_value(union_namer(schema["values"]))
    return None


def _nullable(others: list[Any]) -> Namer | None:
    branch = others[0]
    name = branch if isinstance(branch, str) else str(branch["type"])
    if name not in _UNNAMED:
        return None
    inner = union_namer(branch)
    if inner is None:
        return lambda value: None if value is None else (name, value)
    return lambda value: None if value is None else (name, inner(value))


def _each(inner: Namer | None) -> Namer | None:
    return None if inner is None else lambda values: [inner(value) for value in values]


def _each_value(inner: Namer | None) -> Namer | None:
    return None if inner is None else lambda values: {name: inner(value) for name, value in values.items()}


def _record(schema: Mapping[str, Any]) -> Namer | None:
    namers = [(field["name"], union_namer(field["type"])) for field in schema["fields"]]
    needed = [(name, namer) for name, namer in namers if namer is not None]
    if not needed:
        return None

    def name_all(record: Mapping[str, Any]) -> dict[str, Any]:
        named = dict(record)
        for name, namer in needed:
            named[name] = namer(record[name])
        return named

    return name_all
