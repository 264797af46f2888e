"""The generated parts of docs/events.md: every field with its type and meaning, the headers, one example of each op.

``python -m schemas.reference docs/events.md`` writes them anew (``make docs``); a test keeps the document current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from schemas import bundled
from schemas.change import Change
from schemas.compose import change_schema
from schemas.examples import example_codec, example_of_each_op
from schemas.headers import headers_of

_HEADERS = {
    "ce_specversion": "CloudEvents version.",
    "ce_id": "Event id: the same however often the change is read.",
    "ce_source": "ARN of the stream; `urn:dynamodb:<region>:<table>` for a row of a first load.",
    "ce_type": "`changefeed.change.` and the op, behind the last dot; an unknown op is an upsert by `after`.",
    "ce_time": "When DynamoDB applied the change, RFC 3339, UTC.",
    "ce_subject": "The key as text.",
    "ce_partitionkey": "The key as text (CloudEvents' partitioning extension).",
    "ce_sequence": "Sequence number in 40 digits, so that text order is number order; 0 for a first load.",
    "ce_shard": "Shard id.",
    "ce_ordinal": "Number of the change within its shard: 0, 1, 2, … without holes.",
    "ce_epoch": "Epoch: compare `(epoch, sequence)` as integers.",
    "ce_capturedtime": "When the producer read the change, RFC 3339, UTC, milliseconds.",
    "content-type": "What the value is.",
}


def blocks() -> dict[str, str]:
    """Every generated block by its name."""
    image = bundled.load("order")
    return {
        "change": _table(change_schema(image), skip=frozenset({"Order", "Line"})),
        "order": _table(image),
        "control": _table(bundled.load("control")),
        "headers": _header_table(),
        "examples": "\n\n".join(_example(change) for change in example_of_each_op()),
    }


def with_blocks(document: str) -> str:
    """``document`` with what stands between ``<!-- NAME, by make docs -->`` and ``<!-- end -->`` written anew."""
    for name, text in blocks().items():
        begin = f"<!-- {name}, by make docs -->"
        pattern = re.compile(rf"{re.escape(begin)}.*?<!-- end -->", re.DOTALL)
        document = pattern.sub(_literally(f"{begin}\n\n{text}\n\n<!-- end -->"), document)
    return document


def _literally(text: str) -> Callable[[re.Match[str]], str]:
    """A replacement that is not searched for group references."""
    return lambda _: text


def _table(schema: Mapping[str, Any], skip: frozenset[str] = frozenset()) -> str:
    rows = [f"| `{path}` | {kind} | {doc} |" for path, kind, doc in _rows(schema, "", skip)]
    return "\n".join(["| field | type | meaning |", "| --- | --- | --- |", *rows])


def _rows(schema: Mapping[str, Any], path: str, skip: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    for field in schema["fields"]:
        at = f"{path}{field['name']}"
        yield at, _kind(field["type"]), _meaning(field)
        inner, suffix = _record_in(field["type"])
        if inner is not None and inner["name"] not in skip:
            yield from _rows(inner, f"{at}{suffix}.", skip)


def _meaning(field: Mapping[str, Any]) -> str:
    """The field's words and, where its type has words of its own, those of an enum."""
    schema = field["type"]
    more = schema.get("doc", "") if isinstance(schema, Mapping) and schema["type"] == "enum" else ""
    return f"{field['doc']} {more}".strip().replace("<", "&lt;")


def _record_in(schema: Any) -> tuple[Mapping[str, Any] | None, str]:
    """The record that a field holds, and what its path adds: ``[]`` for a list's."""
    if isinstance(schema, list):
        return _record_in(schema[-1])
    if isinstance(schema, Mapping) and schema["type"] == "array":
        return _record_in(schema["items"])[0], "[]"
    if isinstance(schema, Mapping) and schema["type"] == "record":
        return schema, ""
    return None, ""


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return f"{_kind(schema[-1])}, or null"
    if isinstance(schema, str):
        return f"`{schema.rpartition('.')[2]}`" if "." in schema else schema
    match schema["type"]:
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "map":
            return f"map of {_kind(schema['values'])}"
        case "enum":
            return " \\| ".join(f"`{symbol}`" for symbol in schema["symbols"])
        case "record":
            return f"record `{schema['name']}`"
    if schema.get("logicalType") == "decimal":
        return f"decimal, {schema['precision']} digits, {schema['scale']} after the point"
    return f"{schema['type']} ({schema['logicalType']})" if "logicalType" in schema else str(schema["type"])


def _header_table() -> str:
    update = example_of_each_op()[1]
    rows = [f"| `{name}` | `{value.decode()}` | {_HEADERS[name]} |" for name, value in headers_of(update)]
    return "\n".join(["| header | example | meaning |", "| --- | --- | --- |", *rows])


def _example(change: Change) -> str:
    """An event as a person reads it: the fields of the value, as JSON."""
    codec = example_codec()
    decoded = codec.decode(codec.encode(change))
    document = codec.record_of(decoded)
    text = orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2).decode()
    return f"**{change.op.value}**, {change.op.name.lower()}:\n\n```json\n{text}\n```"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_blocks(file.read_text(encoding="utf-8")), encoding="utf-8")
