"""Items of a real table: what DynamoDB itself makes of an item, and that the event loses nothing of that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from connectors.dynamodb_streams import StreamClient
from connectors.dynamodb_streams.iterators import IteratorSpec
from schemas import bundled
from schemas.attributes import with_bytes
from schemas.codec import ChangeCodec

pytestmark = pytest.mark.integration

CODEC = ChangeCodec.for_image(bundled.load("order"))
ORDER: dict[str, Any] = {
    "status": {"S": "paid"},
    "revision": {"N": "2"},
    "customerId": {"S": "c-77"},
    "currency": {"S": "EUR"},
    "total": {"N": "39.90"},
    "lines": {"L": [{"M": {"sku": {"S": "s"}, "quantity": {"N": "2"}, "price": {"N": "19.95"}, "x": {"NULL": True}}}]},
    "createdAt": {"N": "1764000000123"},
    "updatedAt": {"N": "1764000000456"},
}
NUMBERS = {
    "12.50": "12.5",
    "-0": "0",
    "007": "7",
    "1e3": "1000",
    "1.5E-3": "0.0015",
    "0.0000001": "0.0000001",
    "99999999999999999999999999999999999999": "99999999999999999999999999999999999999",
    "1E-130": "0." + "0" * 129 + "1",
    "9.9E+125": "99" + "0" * 124,
}
"""What is written → what DynamoDB gives back: the same value, in letters of its own."""


def _put(table: Any, number: int, attributes: dict[str, Any]) -> dict[str, Any]:
    item = ORDER | {"orderId": {"S": f"o-{number}"}} | attributes
    table.aws.client("dynamodb").put_item(TableName=table.name, Item=item)
    return item


def _new_images(table: Any, count: int) -> list[dict[str, Any]]:
    """The new images of the first records of the table's stream."""
    stream = StreamClient(table.aws, now_ms=lambda: time.time_ns() // 1_000_000)
    images: list[dict[str, Any]] = []
    for shard in stream.list_shards(table.stream_arn).shards:
        token: str | None = stream.iterator(table.stream_arn, shard, IteratorSpec("TRIM_HORIZON"))
        for _ in range(100):
            if token is None or len(images) >= count:
                break
            page = stream.records(token, 1000)
            images += [record["dynamodb"]["NewImage"] for record in page.records]
            token = page.next_token
    return images


def test_items_of_a_real_stream_survive_and_can_be_written_back(dynamodb_table: Callable[..., Any]) -> None:
    """Every attribute type, written to a table, read from its stream, through the event, back into the table: equal."""
    table = dynamodb_table()
    pick = random.Random(5)
    for number in range(50):
        _put(
            table,
            number,
            {
                "text": {"S": pick.choice(["", "ü \u2028 𝄞", '"\\'])},
                "raw": {"B": pick.randbytes(pick.randrange(1, 40))},
                "flags": {
                    "M": {"yes": {"BOOL": True}, "no": {"BOOL": False}, "none": {"NULL": True}, "empty": {"L": []}}
                },
                "tags": {"SS": ["b", "a"]},
                "sizes": {"NS": ["1.50", "2", "1e2"]},
                "blobs": {"BS": [b"\x00", b"\xff"]},
                "deep": {"L": [{"M": {"a": {"L": [{"B": b"x"}, {"N": str(pick.randrange(10**30))}]}}}]},
                "total": {"N": pick.choice(["39.90", "12.345", "0", "-5"])},
            },
        )
    client = table.aws.client("dynamodb")
    images = _new_images(table, 50)
    assert len(images) == 50
    for image in images:
        back = with_bytes(CODEC.image_to_dynamodb(CODEC.image_from_dynamodb(image)))
        assert back == image
        client.put_item(TableName=table.name, Item=back)
        again = client.get_item(TableName=table.name, Key={"orderId": image["orderId"]})["Item"]
        assert _sets_sorted(again) == _sets_sorted(image)


def test_what_dynamodb_makes_of_numbers_is_what_the_document_says(dynamodb_table: Callable[..., Any]) -> None:
    """Numbers come back by value, without needless zeros, signs or exponents; the event then keeps those letters."""
    table = dynamodb_table()
    for number, text in enumerate(NUMBERS):
        _put(table, number, {"other": {"N": text}})
    images = {image["orderId"]["S"]: image for image in _new_images(table, len(NUMBERS))}
    returned = {text: images[f"o-{number}"]["other"]["N"] for number, text in enumerate(NUMBERS)}
    assert returned == NUMBERS
    assert images["o-0"]["total"] == {"N": "39.9"}
    assert "total" not in CODEC.image_from_dynamodb(images["o-0"])["extra"]


def _sets_sorted(value: Any) -> Any:
    """Sets have no order: the same item with them sorted."""
    if isinstance(value, dict):
        return {
            name: sorted(part) if name in {"SS", "NS", "BS"} else _sets_sorted(part) for name, part in value.items()
        }
    return [_sets_sorted(part) for part in value] if isinstance(value, list) else value
