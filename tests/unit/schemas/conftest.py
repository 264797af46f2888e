"""What the tests of the event share: a codec for orders, an order's item, and changes made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T10:00:00.000"
SHARD = "shardId-00000001764000000123-abcdef12"


@pytest.fixture(scope="session")
def codec() -> ChangeCodec:
    return ChangeCodec.for_image(bundled.load("order"))


@pytest.fixture
def order_item() -> dict[str, Any]:
    """An order as DynamoDB gives it, with an attribute that the schema does not name, in the item and in a line."""
    line = {"sku": {"S": "SKU-1"}, "quantity": {"N": "2"}, "price": {"N": "19.95"}, "colour": {"S": "red"}}
    return {
        "orderId": {"S": "o-1"},
        "status": {"S": "paid"},
        "revision": {"N": "2"},
        "customerId": {"S": "c-77"},
        "currency": {"S": "EUR"},
        "total": {"N": "39.9"},
        "lines": {"L": [{"M": line}]},
        "createdAt": {"N": "1764000000123"},
        "updatedAt": {"N": "1764000000456"},
        "note": {"S": "ring twice"},
    }


@pytest.fixture
def change_of(codec: ChangeCodec, order_item: dict[str, Any]) -> Callable[..., Change]:
    """Makes a change of the order; keyword arguments replace its parts."""

    def make(**parts: Any) -> Change:
        image = codec.image_from_dynamodb(order_item)
        sequence = parts.pop("sequence", 123456789012345678901)
        source = Source(
            table="orders",
            region="eu-west-1",
            stream=STREAM,
            shard=SHARD,
            sequence=sequence,
            ordinal=7,
            event_id=f"{SHARD}:{sequence}",
        )
        given: dict[str, Any] = {
            "op": Op.UPDATE,
            "key": {"orderId": order_item["orderId"]},
            "before": image,
            "after": image,
            "source": source,
            "version": Version(1, sequence),
            "occurred_at_ms": 1764000000000,
            "captured_at_ms": 1764000000999,
        }
        return Change(**(given | parts))

    return make
