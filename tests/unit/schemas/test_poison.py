"""Poison: what can never be an event says where and why."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from schemas.change import Change
from schemas.codec import ChangeCodec, Depth
from schemas.control import decode_control
from schemas.errors import FatalError, PoisonError


@pytest.mark.parametrize(
    "attribute, value, path, reason",
    [
        ("total", {"S": "39.90"}, "total", "type N was expected, this one is S"),
        ("orderId", {"N": "1"}, "orderId", "type S was expected, this one is N"),
        ("status", {"BOOL": True}, "status", "type S was expected, this one is BOOL"),
        ("revision", {"N": "1.5"}, "revision", "not a whole number"),
        ("revision", {"N": str(2**63)}, "revision", "does not fit in 64 bits"),
        ("revision", {"N": "1E+125"}, "revision", "does not fit in 64 bits"),
        ("revision", {"N": "one"}, "revision", "no number"),
        ("revision", {"N": "1_0"}, "revision", "no number"),
        ("revision", {"N": "NaN"}, "revision", "no number"),
        ("total", {"N": "Infinity"}, "total", "no number"),
        ("updatedAt", {"NULL": True}, "updatedAt", "type N was expected, this one is NULL"),
        ("lines", {"M": {}}, "lines", "type L was expected, this one is M"),
        ("lines", {"L": [{"M": {"sku": {"S": "s"}}}]}, "lines[0].quantity", "is missing"),
        ("lines", {"L": [{"M": {"sku": {"S": "s"}, "quantity": {"S": "1"}}}]}, "lines[0].quantity", "this one is S"),
        ("lines", {"L": [{"S": "x"}]}, "lines[0]", "type M was expected, this one is S"),
        ("lines", {"L": ["x"]}, "lines[0]", "this one is str"),
        ("note", {"S": 5}, "note", "S holds no text"),
        ("note", {"X": "5"}, "note", "there is no type 'X'"),
        ("note", {"S": "a", "N": "1"}, "note", "one type"),
        ("note", {"M": {"a": {"L": [{"N": "1"}, {"N": "x"}]}}}, "note.a[1]", "no number"),
        ("note", {"B": "no base64!"}, "note", "not base64"),
        ("note", {"NS": ["1", "x"]}, "note", "no number"),
        ("note", "text", "note", "not a mapping"),
        ("note", {"S": "half \ud800"}, "note", "surrogate"),
        ("orderId", {"S": "a", "N": "1"}, "orderId", "type S was expected"),
    ],
)
def test_an_attribute_of_the_wrong_type_is_poison_with_path_and_reason(
    codec: ChangeCodec, order_item: dict[str, Any], attribute: str, value: Any, path: str, reason: str
) -> None:
    """Each kind of wrong attribute is refused with its place in the item, what is wrong, and a hint."""
    with pytest.raises(PoisonError, match=reason) as poison:
        codec.image_from_dynamodb(order_item | {attribute: value})
    assert poison.value.path == path
    assert poison.value.hint


def test_a_missing_attribute_is_poison_unless_its_field_may_be_null(
    codec: ChangeCodec, order_item: dict[str, Any]
) -> None:
    """An order without a customer is refused by name; an order without a total is not."""
    without_customer = {name: value for name, value in order_item.items() if name != "customerId"}
    with pytest.raises(PoisonError, match="'customerId' is missing") as poison:
        codec.image_from_dynamodb(without_customer)
    assert poison.value.path == "customerId"
    without_total = {name: value for name, value in order_item.items() if name != "total"}
    image = codec.image_from_dynamodb(without_total)
    assert image["total"] is None
    assert codec.image_to_dynamodb(image) == without_total


def test_a_key_of_another_table_is_poison(codec: ChangeCodec, change_of: Callable[..., Change]) -> None:
    """A change whose key has other attributes than the schema's is refused before it reaches the topic."""
    with pytest.raises(PoisonError, match="disagree on the attribute 'orderId'"):
        codec.encode(change_of(key={"id": {"S": "o-1"}}))
    with pytest.raises(PoisonError, match="disagree on the attribute 'range'"):
        codec.encode(change_of(key={"orderId": {"S": "o-1"}, "range": {"S": "x"}}))
    with pytest.raises(PoisonError, match="this one is N") as poison:
        codec.encode(change_of(key={"orderId": {"N": "1"}}))
    assert poison.value.path == "key.orderId"


def test_an_image_made_by_hand_that_does_not_fit_is_poison(
    codec: ChangeCodec, change_of: Callable[..., Change]
) -> None:
    """An image without a required field cannot be written; the error is poison, not fastavro's own."""
    with pytest.raises(PoisonError, match="does not fit its schema"):
        codec.encode(change_of(after={"orderId": "o-1"}))


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"\xc3\x01", b"\x00\x00", b"\x03\x00abc", b"\x03\x07" + bytes(30), b"\xc3\x02" + bytes(20)]
)
def test_a_value_without_a_known_framing_is_poison(codec: ChangeCodec, value: bytes) -> None:
    """Bytes that no feed wrote are poison."""
    with pytest.raises(PoisonError, match="no known framing"):
        codec.decode(value)


def test_a_schema_that_is_not_known_here_is_fatal_not_poison(
    codec: ChangeCodec, change_of: Callable[..., Change]
) -> None:
    """A newer writer's record is good: the consumer stops with a hint instead of throwing good records away."""
    value = codec.encode(change_of())
    for other in (b"\xc3\x01" + bytes(8), struct.pack(">bI", 0, 77), b"\x03\x00" + bytes(16)):
        with pytest.raises(FatalError, match="not known here") as fatal:
            codec.decode(other + value[10:])
        assert "consumers are upgraded before the producer" in fatal.value.hint
    with pytest.raises(FatalError, match="not known here"):
        decode_control(b"\xc3\x01" + bytes(30))


def test_a_cut_value_is_poison_at_every_length(codec: ChangeCodec, change_of: Callable[..., Change]) -> None:
    """However a value is cut, decoding ends in poison, never in another error and never in a change."""
    value = codec.encode(change_of())
    for length in range(len(value)):
        with pytest.raises(PoisonError):
            codec.decode(value[:length])
    with pytest.raises(PoisonError, match="goes on behind its last field"):
        codec.decode(value + b"\x00")


def test_altered_bytes_end_in_a_change_or_in_poison(codec: ChangeCodec, change_of: Callable[..., Change]) -> None:
    """5,000 values with bytes altered at random: no other error than poison escapes, at any depth."""
    pick = random.Random(7)
    value = codec.encode(change_of())
    refused = 0
    for _ in range(5_000):
        altered = bytearray(value)
        for _ in range(pick.randrange(1, 4)):
            altered[pick.randrange(10, len(altered))] = pick.randrange(256)
        try:
            codec.decode(bytes(altered), pick.choice(list(Depth)))
        except PoisonError:
            refused += 1
    assert refused > 100


def test_a_batch_goes_on_past_poison(codec: ChangeCodec, change_of: Callable[..., Change]) -> None:
    """In a batch a poison value yields its error in its place; its neighbours are decoded."""
    value = codec.encode(change_of())
    first, second, third = codec.decode_batch([value, b"junk", value])
    assert isinstance(first, Change)
    assert first == third
    assert isinstance(second, PoisonError)


def test_an_attribute_nested_without_end_is_poison(codec: ChangeCodec, order_item: dict[str, Any]) -> None:
    """Deeper than DynamoDB allows (and a thousand levels deeper) is refused before it can exhaust the stack."""
    for depth in (40, 5_000):
        attribute: dict[str, Any] = {"S": "core"}
        for _ in range(depth):
            attribute = {"L": [attribute]}
        with pytest.raises(PoisonError, match="nested more than 32 deep"):
            codec.image_from_dynamodb(order_item | {"deep": attribute})
