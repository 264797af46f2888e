"""docs/events.md is what the schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fastavro
import pytest

from schemas import bundled
from schemas.change import Op
from schemas.examples import example_codec, example_of_each_op
from schemas.headers import facts_of, headers_of
from schemas.reference import blocks, with_blocks

DOCUMENT = Path(__file__).parents[3] / "docs" / "events.md"


def test_the_document_is_current() -> None:
    """Its tables and examples are exactly what the schemas and the codec give; `make docs` writes them anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_blocks(text)
    for name in blocks():
        assert f"<!-- {name}, by make docs -->" in text


def test_every_field_has_a_meaning_and_times_have_a_unit() -> None:
    """No field of the contract is without words, and every time says milliseconds."""
    rows = [line for text in blocks().values() for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []
    assert [row for row in rows if "timestamp-millis" in row and "milliseconds" not in row] == []


@pytest.mark.parametrize("name", bundled.names())
def test_every_bundled_schema_is_documented_field_by_field(name: str) -> None:
    """Each field of each bundled schema has a doc, for people and for generated classes."""

    def undocumented(schema: object) -> list[str]:
        if isinstance(schema, list):
            return [found for part in schema for found in undocumented(part)]
        if not isinstance(schema, dict):
            return []
        fields = schema.get("fields", [])
        own = [field["name"] for field in fields if not field.get("doc")]
        return own + undocumented([field["type"] for field in fields]) + undocumented(schema.get("items"))

    assert undocumented(bundled.load(name)) == []


def test_there_is_an_example_of_each_op_and_all_are_true() -> None:
    """The examples cover every op, survive the codec, and their headers say the same."""
    examples = example_of_each_op()
    assert [change.op for change in examples] == list(Op)
    for change in examples:
        assert example_codec().decode(example_codec().encode(change)) == change
        assert facts_of(headers_of(change)).version == change.version


def test_the_schema_in_the_document_for_another_table_is_avro() -> None:
    """The .avsc that the document shows for another table parses."""
    (text,) = re.findall(
        r"```json\n(\{\"type\": \"record\", \"name\": \"Reading\".*?)```",
        DOCUMENT.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert fastavro.parse_schema(json.loads(text), named_schemas={})
