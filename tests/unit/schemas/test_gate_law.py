"""The gate's law: what it lets pass, Avro readers really read."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from fastavro.utils import generate_one
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.evolution import Compatibility, NamedSchema, check

DECIMALS = [
    {"type": "bytes", "logicalType": "decimal", "precision": digits, "scale": scale}
    for digits, scale in [(9, 2), (18, 2), (18, 3)]
]
DEFAULTS = {"int": 1, "long": 2, "string": "s", "bytes": "b", "boolean": True, "array": [], "map": {}}

enums = st.builds(
    lambda symbols, default: {"type": "enum", "symbols": symbols} | ({"default": symbols[0]} if default else {}),
    st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True),
    st.booleans(),
)
plain = st.one_of(st.sampled_from(["int", "long", "string", "bytes", "boolean"]), enums, st.sampled_from(DECIMALS))
containers = st.one_of(
    plain,
    plain.map(lambda items: {"type": "array", "items": items}),
    plain.map(lambda values: {"type": "map", "values": values}),
)


def _named(schema: Any, name: str) -> Any:
    """Enums need names; within one schema each another."""
    if not isinstance(schema, dict):
        return schema
    named = {part: _named(value, name) if part in {"items", "values"} else value for part, value in schema.items()}
    return named | {"name": f"E{name}"} if schema["type"] == "enum" else named


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of up to four fields out of the same five names, so that two of them often share some."""
    fields = []
    for name in draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True)):
        schema = _named(draw(containers), name)
        kind = schema if isinstance(schema, str) else schema["type"]
        field: dict[str, Any] = {"name": name, "type": schema}
        if draw(st.booleans()):
            field = {"name": name, "type": ["null", schema], "default": None}
        elif kind in DEFAULTS and draw(st.booleans()):
            field["default"] = DEFAULTS[kind]
        fields.append(field)
    return {"type": "record", "name": "R", "namespace": "law", "fields": fields}


@given(old=records(), new=records())
@settings(max_examples=600, deadline=None)
def test_what_passes_is_read(old: dict[str, Any], new: dict[str, Any]) -> None:
    """For any two schemas: if the gate lets the new one follow, records of the old one are read without an error."""
    if check(new, [NamedSchema("old", old)], Compatibility.BACKWARD):
        return
    written = io.BytesIO()
    parsed = fastavro.parse_schema(old, named_schemas={})
    fastavro.schemaless_writer(written, parsed, generate_one(parsed))
    written.seek(0)
    record: Any = fastavro.schemaless_reader(written, parsed, fastavro.parse_schema(new, named_schemas={}))
    assert set(record) == {field["name"] for field in new["fields"]}
    assert written.read() == b""


@given(schema=records())
@settings(max_examples=200, deadline=None)
def test_a_schema_can_always_follow_itself(schema: dict[str, Any]) -> None:
    """No schema is refused after itself, in any mode."""
    for compatibility in Compatibility:
        assert check(schema, [NamedSchema("same", schema)], compatibility) == ()
