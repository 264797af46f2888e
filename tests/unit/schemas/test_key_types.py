"""Whether a schema's key fields can hold what a table's key attributes are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.examples import example_of_each_op
from schemas.headers import WRITING_REGION, facts_of, headers_of
from schemas.key import key_faults

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}
DAY = {"type": "long", "logicalType": "timestamp-millis"}


def image(first: Any, second: Any = "string") -> dict[str, Any]:
    """A schema with two key fields, the second under another attribute's name."""
    fields = [{"name": "id", "type": first}, {"name": "at", "attribute": "At", "type": second}]
    return {"type": "record", "name": "Thing", "key": ["id", "at"], "fields": fields}


@pytest.mark.parametrize(
    "schema, holds", [("string", "S"), ("bytes", "B"), ("int", "N"), ("long", "N"), (DAY, "N"), (DECIMAL, "N")]
)
def test_each_type_holds_one_of_dynamodbs(schema: Any, holds: str) -> None:
    """The others are faults, a sentence each, with the names on both sides."""
    for found in "SNB":
        faults = key_faults(image(schema), {"id": found, "At": "S"})
        assert len(faults) == (found != holds)
    (fault,) = key_faults(image("string", schema if holds != "B" else DECIMAL), {"id": "S", "At": "B"})
    assert "'At' is binary (B)" in fault
    assert "field 'at'" in fault


def test_both_attributes_can_be_wrong() -> None:
    """Every fault is told at once."""
    assert len(key_faults(image("bytes", "long"), {"id": "S", "At": "S"})) == 2


def test_a_change_names_the_region_that_wrote_it() -> None:
    """In a header, where the item says so; other changes lack the header."""
    change = example_of_each_op()[0]
    assert WRITING_REGION not in dict(headers_of(change))
    assert facts_of(headers_of(change)).writing_region is None
    marked = replace(change, source=replace(change.source, writing_region="us-east-1"))
    assert dict(headers_of(marked))[WRITING_REGION] == b"us-east-1"
    assert facts_of(headers_of(marked)).writing_region == "us-east-1"
