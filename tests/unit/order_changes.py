"""Changes of orders, as the producer publishes them, made by hand."""

from __future__ import annotations

from typing import Any

from schemas.change import Change, Op, Source
from schemas.version import Version


def order(status: str, revision: int, *, at_ms: int = 1_764_000_000_000, **more: Any) -> dict[str, Any]:
    """An image of an order."""
    image = {
        "orderId": "o-1",
        "status": status,
        "revision": revision,
        "customerId": "c-1",
        "currency": "EUR",
        "total": None,
        "lines": [],
        "createdAt": at_ms,
        "updatedAt": at_ms,
        "extra": {},
    }
    return image | more


def change(
    op: Op,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    *,
    sequence: int,
    epoch: int = 1,
    order_id: str = "o-1",
) -> Change:
    """A change of one order."""
    shard = f"snapshot-{epoch}-0" if op is Op.READ else "shardId-1"
    source = Source("orders", "eu-west-1", "arn", shard, sequence, sequence, f"{shard}:{sequence}")
    key = {"orderId": {"S": order_id}}
    return Change(op, key, before, after, source, Version(epoch, 0 if op is Op.READ else sequence), 0, 0)


def life(*statuses: str, deleted: bool = False, order_id: str = "o-1", first: int = 1, base: int = 0) -> list[Change]:
    """The changes of one life of an order, numbered from ``first``, sequence numbers ten apart, above ``base``."""
    changes: list[Change] = []
    before: dict[str, Any] | None = None
    for number, status in enumerate(statuses, first):
        after = order(status, number, orderId=order_id)
        op = Op.CREATE if before is None else Op.UPDATE
        changes.append(change(op, before, after, sequence=base + 10 * number, order_id=order_id))
        before = after
    if deleted:
        sequence = base + 10 * (first + len(statuses))
        changes.append(change(Op.DELETE, before, None, sequence=sequence, order_id=order_id))
    return changes
