"""The canonical bytes of keys, and tables whose keys are numbers, binary or composite: another .avsc, no code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.compose import change_schema, key_fields
from schemas.errors import ConfigError, PoisonError
from schemas.key import key_bytes, key_text
from schemas.numbers import canonical

EXTRA = {"name": "extra", "type": {"type": "map", "values": "string"}, "default": {}}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 6}


@pytest.mark.parametrize(
    "key, wanted, text",
    [
        ({"id": {"S": "o-1"}}, b"o-1", "o-1"),
        ({"id": {"S": "Bücher"}}, "Bücher".encode(), "Bücher"),
        ({"id": {"N": "12.50"}}, b"12.5", "12.5"),
        ({"id": {"N": "1.25E1"}}, b"12.5", "12.5"),
        ({"id": {"N": "-0.0"}}, b"0", "0"),
        ({"id": {"N": "1E+3"}}, b"1000", "1000"),
        ({"id": {"B": "AP8="}}, b"\x00\xff", "AP8="),
        ({"id": {"B": b"\x00\xff"}}, b"\x00\xff", "AP8="),
        ({"b": {"N": "7.0"}, "a": {"S": 'say "ü"'}}, '["say \\"ü\\"","7"]'.encode(), '["say \\"ü\\"","7"]'),
        ({"a": {"S": "x"}, "b": {"B": b"\x00\xff"}}, b'["x","AP8="]', '["x","AP8="]'),
    ],
)
def test_the_bytes_of_a_key_follow_the_documented_rule(key: dict[str, Any], wanted: bytes, text: str) -> None:
    """One example for each kind of key, as docs/events.md states the rule."""
    assert key_bytes(key) == wanted
    assert key_text(key) == text


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_items_never_share_key_bytes(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Composite keys are told apart whatever characters they hold (``a|b`` + ``c`` is not ``a`` + ``b|c``)."""
    as_keys = [key_bytes({"pk": {"S": first}, "sk": {"S": second}}) for first, second in (left, right)]
    assert (as_keys[0] == as_keys[1]) == (left == right)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6))
def test_one_number_has_one_text(value: Any) -> None:
    """However a number is written (scientific, padded), its canonical text is the same, and equal in value."""
    plain = canonical(format(value, "f"))
    assert canonical(f"{value:E}") == canonical(f"{value:f}000") == canonical(plain) == plain
    assert type(value)(plain) == value


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"a": {"S": "1"}, "b": {"S": "2"}, "c": {"S": "3"}},
        {"a": {"BOOL": True}},
        {"a": {"N": "x"}},
        {"a": {"S": "\ud800"}},
        {"a": "x"},
    ],
)
def test_what_is_no_key_is_poison(key: dict[str, Any]) -> None:
    """A key has one or two attributes of type S, N or B."""
    with pytest.raises(PoisonError):
        key_bytes(key)


def _table(*fields: dict[str, Any], key: list[str]) -> dict[str, Any]:
    return {"type": "record", "name": "Reading", "namespace": "sensors", "key": key, "fields": [*fields, EXTRA]}


@pytest.mark.parametrize(
    "fields, names, key",
    [
        ([{"name": "id", "type": "long"}], ["id"], {"id": {"N": "-5"}}),
        ([{"name": "id", "type": DECIMAL}], ["id"], {"id": {"N": "5.125"}}),
        ([{"name": "id", "type": "bytes"}], ["id"], {"id": {"B": "AP8="}}),
        (
            [
                {"name": "device", "type": "string"},
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            ],
            ["device", "at"],
            {"device": {"S": "d-1"}, "at": {"N": "1764000000123"}},
        ),
        ([{"name": "deviceId", "attribute": "device-id", "type": "string"}], ["deviceId"], {"device-id": {"S": "d"}}),
    ],
)
def test_another_table_needs_only_another_avsc(
    change_of: Callable[..., Change], fields: list[dict[str, Any]], names: list[str], key: dict[str, Any]
) -> None:
    """Number, decimal, binary and composite keys, and names that Avro does not allow, work by schema alone."""
    kinds = [
        {"name": "flag", "type": ["null", "boolean"], "default": None},
        {"name": "small", "type": "int", "default": 0},
        {"name": "raw", "type": ["null", {"type": "fixed", "name": "Raw", "size": 2}], "default": None},
        {"name": "by", "type": {"type": "map", "values": DECIMAL}, "default": {}},
        {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None},
        {
            "name": "list",
            "type": ["null", {"type": "array", "items": {"type": "map", "values": DECIMAL}}],
            "default": None,
        },
        {"name": "other", "type": ["null", "Raw"], "default": None},
        {
            "name": "where",
            "type": ["null", {"type": "record", "name": "Place", "fields": [{"name": "lat", "type": DECIMAL}, EXTRA]}],
            "default": None,
        },
    ]
    codec = ChangeCodec.for_image(_table(*fields, *kinds, key=names))
    item = key | {
        "flag": {"BOOL": True},
        "small": {"N": "5"},
        "raw": {"B": "AP8="},
        "by": {"M": {"x": {"N": "1.5"}, "y": {"N": "2.50"}}},
        "tags": {"L": [{"S": "a"}]},
        "other": {"B": "AP8="},
        "list": {"L": [{"M": {"x": {"N": "1.5"}}}, {"M": {}}]},
        "where": {"M": {"lat": {"N": "52.520008"}, "lon": {"N": "13.404954"}}},
    }
    change = replace(change_of(), key=key, after=codec.image_from_dynamodb(item), before=None)
    back = codec.decode(codec.encode(change))
    assert back == change
    assert back.after is not None
    assert codec.image_to_dynamodb(back.after) == item


def test_binary_in_other_letters_keeps_them() -> None:
    """Base64 whose last bits are not zero means the same bytes; a typed binary field gives its letters back."""
    field = {"name": "raw", "type": "bytes"}
    codec = ChangeCodec.for_image(_table({"name": "id", "type": "string"}, field, key=["id"]))
    item = {"id": {"S": "a"}, "raw": {"B": "QR=="}}
    image = codec.image_from_dynamodb(item)
    assert image["raw"] == b"A"
    assert codec.image_to_dynamodb(image) == item


@pytest.mark.parametrize(
    "schema, sentence",
    [
        ({"type": "string"}, "Avro record with a name"),
        (_table({"name": "id", "type": "string"}, key=["nope"]), "does not say which of its fields are the key"),
        (_table({"name": "id", "type": "string"}, key=[]), "does not say which of its fields are the key"),
        (
            _table({"name": "id", "type": ["null", "string"]}, key=["id"]),
            "key field 'id' of sensors.Reading is nullable",
        ),
        (_table({"name": "id", "type": "boolean"}, key=["id"]), "key field 'id' of sensors.Reading is boolean"),
        (_table({"name": "id", "type": "string"}, {"name": "x", "type": "double"}, key=["id"]), "no double fields"),
        (
            _table({"name": "id", "type": "string"}, {"name": "x", "type": ["string", "long"]}, key=["id"]),
            "null and one type",
        ),
        (_table({"name": "id", "type": "string"}, {"name": "x", "type": "Missing"}, key=["id"]), "Missing"),
        (
            {"type": "record", "name": "R", "key": ["id"], "fields": [{"name": "id", "type": "string"}]},
            "has no field 'extra'",
        ),
    ],
)
def test_a_schema_that_cannot_be_an_image_is_refused_with_a_sentence(schema: dict[str, Any], sentence: str) -> None:
    """What cannot work ends in a ConfigError when the codec is made, not at the first record."""
    with pytest.raises(ConfigError, match=sentence):
        ChangeCodec.for_image(schema)


def test_the_key_of_the_event_is_a_typed_record() -> None:
    """Readers in other languages get the key as a record of the table's key fields."""
    schema = change_schema(_table({"name": "id", "type": "long", "doc": "Number."}, key=["id"]))
    key = next(field for field in schema["fields"] if field["name"] == "key")
    assert key["type"]["name"] == "ReadingKey"
    assert key["type"]["fields"] == [{"name": "id", "type": "long", "doc": "Number."}]
    assert key_fields(_table({"name": "id", "type": "long"}, key=["id"]))[0]["name"] == "id"
