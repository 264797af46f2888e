"""Orders as an order service writes them, as records of the stream: what both benchmarks measure on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T10:00:00.000"
STATES = ["created", "paid", "packed", "shipped", "delivered"]
NOW_MS = 1_764_000_000_000


def stream_records(count: int, rate_per_s: int = 400, seed: int = 1) -> Iterator[dict[str, Any]]:
    """DynamoDB stream records (the ``dynamodb`` part), in the order of their writes, spread over 8 shards by order."""
    pick = random.Random(seed)
    open_orders: list[dict[str, Any]] = []
    for number in range(count):
        at_ms = NOW_MS + number * 1000 // rate_per_s
        if open_orders and pick.random() < 0.8:
            slot = pick.randrange(len(open_orders))
            old = open_orders[slot]
            new = _next(old, at_ms)
            if new["status"]["S"] == "delivered":
                open_orders.pop(slot)
            else:
                open_orders[slot] = new
        else:
            old, new = None, _created(pick, at_ms)
            open_orders.append(new)
        yield {
            "Keys": {"orderId": new["orderId"]},
            "NewImage": new,
            "SequenceNumber": str(100_000_000_000_000_000_000 + number * 37),
            "ApproximateCreationDateTime": at_ms // 1000,
        } | ({} if old is None else {"OldImage": old})


def _created(pick: random.Random, at_ms: int) -> dict[str, Any]:
    def line() -> dict[str, Any]:
        cents = pick.randrange(99, 19_999)
        return {
            "M": {
                "sku": {"S": f"SKU-{pick.randrange(100_000):05d}"},
                "quantity": {"N": str(pick.randrange(1, 5))},
                "price": {"N": f"{cents / 100:.2f}".rstrip("0").rstrip(".")},
            }
        }

    return {
        "orderId": {"S": f"o-{pick.randrange(16**12):012x}"},
        "status": {"S": "created"},
        "revision": {"N": "1"},
        "customerId": {"S": f"c-{pick.randrange(1_000_000):06d}"},
        "currency": {"S": pick.choice(["EUR", "EUR", "GBP", "USD"])},
        "total": {"N": f"{pick.randrange(500, 90_000) / 100:.2f}".rstrip("0").rstrip(".")},
        "lines": {"L": [line() for _ in range(pick.randrange(1, 5))]},
        "createdAt": {"N": str(at_ms)},
        "updatedAt": {"N": str(at_ms)},
        "note": {"S": "leave it with the neighbour"},
    }


def _next(old: dict[str, Any], at_ms: int) -> dict[str, Any]:
    revision = int(old["revision"]["N"])
    return old | {
        "status": {"S": STATES[min(revision, len(STATES) - 1)]},
        "revision": {"N": str(revision + 1)},
        "updatedAt": {"N": str(at_ms)},
    }


def change_of(codec: ChangeCodec, record: dict[str, Any], ordinal: int) -> Change:
    """The change of a stream record, made as the producer makes it."""
    old, new = record.get("OldImage"), record.get("NewImage")
    sequence = int(record["SequenceNumber"])
    shard = f"shardId-0000000176400000000{ordinal % 8}-a1b2c3d{ordinal % 8}"
    at_ms = record["ApproximateCreationDateTime"] * 1000
    return Change(
        op=Op.CREATE if old is None else Op.UPDATE,
        key=record["Keys"],
        before=None if old is None else codec.image_from_dynamodb(old),
        after=None if new is None else codec.image_from_dynamodb(new),
        source=Source("orders", "eu-west-1", STREAM, shard, sequence, ordinal // 8, f"{shard}:{sequence}"),
        version=Version(1, sequence),
        occurred_at_ms=at_ms,
        captured_at_ms=at_ms + 700 + ordinal % 40 // 40,
    )
