"""The law of images: DynamoDB JSON → event → DynamoDB JSON is the identity, for every item that is not poison."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.attributes import with_bytes
from schemas.change import Change
from schemas.codec import ChangeCodec

digits = st.text(string.digits, min_size=1, max_size=38)
number_texts = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9).map(str),
    st.builds(lambda whole, part: f"{whole}.{part}", digits, digits),
    st.builds(lambda mantissa, exponent: f"{mantissa}E{exponent:+d}", st.integers(-999, 999), st.integers(-130, 125)),
    st.sampled_from(["0", "-0", "0.00", "1e2", "007", "+5", "12.50", "0.005", "9" * 38, "1E-130", "9.9E+125"]),
)
texts = st.text(max_size=12)
binaries = st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())
attributes: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        texts.map(lambda value: {"S": value}),
        number_texts.map(lambda value: {"N": value}),
        binaries.map(lambda value: {"B": value}),
        st.booleans().map(lambda value: {"BOOL": value}),
        st.just({"NULL": True}),
        st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda value: {"SS": value}),
        st.lists(number_texts, min_size=1, max_size=3, unique=True).map(lambda value: {"NS": value}),
        st.lists(binaries, min_size=1, max_size=3, unique=True).map(lambda value: {"BS": value}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda value: {"L": value}),
        st.dictionaries(texts, inner, max_size=3).map(lambda value: {"M": value}),
    ),
    max_leaves=6,
)
whole_texts = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str), st.sampled_from(["0", "-0", "5.0", "1e3", "007", "+5", "12.000"])
)
typed_text = texts.map(lambda value: {"S": value})
typed_whole = whole_texts.map(lambda value: {"N": value})
nullable_number = st.one_of(number_texts.map(lambda value: {"N": value}), st.just({"NULL": True}))
statuses = st.one_of(st.sampled_from(["created", "paid", "shipped", "unknown", "returned", ""]), texts).map(
    lambda value: {"S": value}
)
other_names = st.one_of(st.sampled_from(["extra", "note", "a.b", "0", "total ", "ttl"]), texts)
lines = st.builds(
    lambda others, typed, price: {"M": others | typed | price},
    st.dictionaries(other_names, attributes, max_size=2),
    st.fixed_dictionaries({"sku": typed_text, "quantity": typed_whole}),
    st.one_of(st.just({}), st.fixed_dictionaries({"price": nullable_number})),
)
items = st.builds(
    lambda others, typed, total: others | typed | total,
    st.dictionaries(other_names, attributes, max_size=4),
    st.fixed_dictionaries(
        {
            "orderId": typed_text,
            "status": statuses,
            "revision": typed_whole,
            "customerId": typed_text,
            "currency": typed_text,
            "lines": st.lists(lines, max_size=3).map(lambda value: {"L": value}),
            "createdAt": typed_whole,
            "updatedAt": typed_whole,
        }
    ),
    st.one_of(st.just({}), st.fixed_dictionaries({"total": nullable_number})),
)


def _through_the_topic(codec: ChangeCodec, change: Change, item: dict[str, Any]) -> dict[str, Any]:
    value = codec.encode(replace(change, key={"orderId": item["orderId"]}, after=codec.image_from_dynamodb(item)))
    after = codec.decode(value).after
    assert after is not None
    return codec.image_to_dynamodb(after)


@given(item=items)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_an_item_survives_the_topic_letter_by_letter(
    codec: ChangeCodec, change_of: Callable[..., Change], item: dict[str, Any]
) -> None:
    """Any item with attributes of every type comes back from the bytes exactly as DynamoDB gave it."""
    assert _through_the_topic(codec, change_of(before=None), item) == item


def _any_attribute(pick: random.Random, depth: int = 0) -> dict[str, Any]:
    tag = pick.choice(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"] + ["L", "M"] * (depth < 4))

    def text() -> str:
        return "".join(pick.choices('aé\u2028"\\\0𝄞 z', k=pick.randrange(6)))

    def number() -> str:
        return pick.choice(
            ["0", "-1", "12.50", str(pick.randrange(10**38)), f"{pick.randrange(10**9)}E-{pick.randrange(99)}"]
        )

    def raw() -> str:
        return base64.b64encode(pick.randbytes(pick.randrange(9))).decode()

    values: dict[str, Callable[[], Any]] = {
        "S": text,
        "N": number,
        "B": raw,
        "BOOL": lambda: pick.random() < 0.5,
        "NULL": lambda: True,
        "SS": lambda: sorted({text() for _ in range(3)}),
        "NS": lambda: sorted({number() for _ in range(3)}),
        "BS": lambda: sorted({raw() for _ in range(3)}),
        "L": lambda: [_any_attribute(pick, depth + 1) for _ in range(pick.randrange(4))],
        "M": lambda: {text(): _any_attribute(pick, depth + 1) for _ in range(pick.randrange(4))},
    }
    return {tag: values[tag]()}


def test_ten_thousand_generated_items_survive(
    codec: ChangeCodec, change_of: Callable[..., Change], order_item: dict[str, Any]
) -> None:
    """The law holds for 10,000 seeded items whose typed and other attributes vary at once."""
    pick = random.Random(20261124)
    change = change_of(before=None)
    for _ in range(10_000):
        amount = pick.choice(
            ["0", "12.5", "12.50", "0.005", "1E+3", str(Decimal(pick.randrange(10**20)).scaleb(-pick.randrange(9)))]
        )
        item = order_item | {
            "status": {"S": pick.choice(["created", "paid", "lost", "returned"])},
            "revision": {"N": pick.choice(["1", "1.0", "7e2", str(pick.randrange(2**63))])},
            "total": {"N": amount},
            f"other{pick.randrange(9)}": _any_attribute(pick),
            "lines": {
                "L": [{"M": {"sku": {"S": "s"}, "quantity": {"N": "1"}, "x": _any_attribute(pick)}}] * pick.randrange(3)
            },
        }
        assert _through_the_topic(codec, change, item) == item


def test_a_number_that_the_scale_cannot_hold_is_null_in_the_field_and_exact_in_extra(
    codec: ChangeCodec, order_item: dict[str, Any]
) -> None:
    """12.345 with two decimals is not rounded: the typed field is null, the exact number stays under extra."""
    image = codec.image_from_dynamodb(order_item | {"total": {"N": "12.345"}})
    assert image["total"] is None
    assert image["extra"]["total"] == '{"N":"12.345"}'


def test_a_number_in_other_letters_keeps_value_and_letters(codec: ChangeCodec, order_item: dict[str, Any]) -> None:
    """12.50 is 12.5 in the typed field, and 12.50 when the item is made again."""
    image = codec.image_from_dynamodb(order_item | {"total": {"N": "12.50"}})
    assert image["total"] == Decimal("12.5")
    assert codec.image_to_dynamodb(image)["total"] == {"N": "12.50"}


def test_an_unknown_status_is_the_default_and_its_word_is_kept(codec: ChangeCodec, order_item: dict[str, Any]) -> None:
    """A status that the schema does not list does not poison the change: `unknown`, and the word under extra."""
    image = codec.image_from_dynamodb(order_item | {"status": {"S": "returned"}})
    assert image["status"] == "unknown"
    assert codec.image_to_dynamodb(image)["status"] == {"S": "returned"}


def test_nothing_is_kept_twice(codec: ChangeCodec, order_item: dict[str, Any]) -> None:
    """What the typed fields hold exactly is not under extra: the event does not grow for nothing."""
    image = codec.image_from_dynamodb(order_item)
    assert set(image["extra"]) == {"note"}
    assert set(image["lines"][0]["extra"]) == {"colour"}


def test_binary_may_be_bytes_and_goes_back_to_boto3_as_bytes(codec: ChangeCodec, order_item: dict[str, Any]) -> None:
    """boto3's bytes and the service's base64 make the same image; `with_bytes` gives boto3 its bytes at every depth."""
    as_boto3 = order_item | {
        "photo": {"M": {"raw": {"B": b"\x00\xff"}, "all": {"BS": [b"a"]}, "l": {"L": [{"B": b""}]}}}
    }
    as_json = order_item | {"photo": {"M": {"raw": {"B": "AP8="}, "all": {"BS": ["YQ=="]}, "l": {"L": [{"B": ""}]}}}}
    image = codec.image_from_dynamodb(as_boto3)
    assert image == codec.image_from_dynamodb(as_json)
    assert codec.image_to_dynamodb(image) == as_json
    assert with_bytes(codec.image_to_dynamodb(image)) == as_boto3


@pytest.mark.parametrize("deep", [30, 31])
def test_nesting_as_deep_as_dynamodb_allows_survives(codec: ChangeCodec, order_item: dict[str, Any], deep: int) -> None:
    """Lists nested 32 levels, DynamoDB's limit, are kept."""
    attribute: dict[str, Any] = {"S": "core"}
    for _ in range(deep):
        attribute = {"L": [attribute]}
    item = order_item | {"deep": attribute}
    assert codec.image_to_dynamodb(codec.image_from_dynamodb(item)) == item
