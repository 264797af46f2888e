"""One change of each op, as the documentation shows them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version

_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T10:00:00.000"
_SHARD = "shardId-00000001764000000123-abcdef12"
_SEQUENCE = 4_200_000_000_000_000_000_017
_CREATED_MS = 1_764_000_000_123


@cache
def example_codec() -> ChangeCodec:
    """The codec of the examples: the bundled ``order``."""
    return ChangeCodec.for_image(bundled.load("order"))


def _item(status: str, revision: int) -> dict[str, Any]:
    line = {"sku": {"S": "SKU-1"}, "quantity": {"N": "2"}, "price": {"N": "19.95"}, "colour": {"S": "red"}}
    return {
        "orderId": {"S": "o-1"},
        "status": {"S": status},
        "revision": {"N": str(revision)},
        "customerId": {"S": "c-77"},
        "currency": {"S": "EUR"},
        "total": {"N": "39.9"},
        "lines": {"L": [{"M": line}]},
        "createdAt": {"N": str(_CREATED_MS)},
        "updatedAt": {"N": str(_CREATED_MS + 1_500 * (revision - 1))},
        "giftNote": {"M": {"text": {"S": "Happy birthday"}, "weight": {"N": "0.25"}}},
    }


def example_of_each_op() -> tuple[Change, ...]:
    """A create, an update, a delete and a row of a first load, of one order."""
    codec = example_codec()
    created = codec.image_from_dynamodb(_item("created", 1))
    paid = codec.image_from_dynamodb(_item("paid", 2))
    first = Change(
        op=Op.CREATE,
        key={"orderId": {"S": "o-1"}},
        before=None,
        after=created,
        source=Source("orders", "eu-west-1", _STREAM, _SHARD, _SEQUENCE, 41, f"{_SHARD}:{_SEQUENCE}"),
        version=Version(1, _SEQUENCE),
        occurred_at_ms=_CREATED_MS // 1000 * 1000,
        captured_at_ms=_CREATED_MS + 180,
    )
    snapshot = replace(first.source, stream="", shard="snapshot-2-0", sequence=0, ordinal=5, event_id="snapshot-2-0:5")
    return (
        first,
        _later(first, 1, op=Op.UPDATE, before=created, after=paid),
        _later(first, 2, op=Op.DELETE, before=paid, after=None),
        replace(first, op=Op.READ, after=paid, source=snapshot, version=Version(2, 0)),
    )


def _later(first: Change, steps: int, **parts: Any) -> Change:
    sequence = first.source.sequence + 37 * steps
    source = replace(
        first.source, sequence=sequence, ordinal=first.source.ordinal + steps, event_id=f"{_SHARD}:{sequence}"
    )
    return replace(
        first,
        source=source,
        version=Version(1, sequence),
        occurred_at_ms=first.occurred_at_ms + 1_000 * steps,
        captured_at_ms=first.captured_at_ms + 1_500 * steps,
        **parts,
    )
