"""What will be written and when: pure, from a seed. One lane is one connection and a set of orders of its own.

A lane has a slot every ``lanes / rate`` seconds. In each slot the order whose next step is due longest goes on; when
none is due a new order is created. So the rate is exact whatever lives the orders lead, and lives overlap as they do
in a shop.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from feed.workload.settings import WorkloadSettings
from schemas.change import Op

LIFE: Final = ("created", "paid", "packed", "shipped", "delivered")
"""The statuses of an order that nothing happens to."""

LATEST_CANCEL: Final = LIFE.index("shipped")
"""From here on an order can no longer be cancelled."""

BURST_LENGTH: Final = 3
"""A→B→C."""

RETURNING_SHARE: Final = 0.25
"""Of the deleted orders, those that are created again under the same key."""

SKUS: Final = tuple(f"SKU-{number:04d}" for number in range(400))


@dataclass(frozen=True, slots=True)
class Step:
    """One write. ``number`` counts the changes of the order from 1; a no-op has the number of what it repeats."""

    due_ms: float
    """When it is due, from the start of the run."""
    order: str
    number: int
    op: Op | None
    """What the stream will say of it; None for a no-op, of which it says nothing."""
    status: str
    """The order's status after the write; before it, for a delete."""
    item: Mapping[str, Any]
    """DynamoDB JSON without the two times, which the writer adds; empty for a delete."""
    burst: int = 0
    """The burst that the step belongs to, counted from 1 within its lane; 0 for none."""
    last: bool = False
    """Nothing more will be written to this key."""


@dataclass(slots=True)
class _Order:
    """An order while it lives: mutable, private to its lane's generator."""

    name: str
    random: random.Random
    ends: tuple[str, ...]
    """The statuses it will go through after its creation."""
    deleted: bool
    returns: bool
    item: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    at: int = -1
    """How many of ``ends`` it has reached, -1 before its creation."""

    @property
    def status(self) -> str:
        return str(self.item["status"]["S"])

    def finished(self) -> bool:
        return self.at >= len(self.ends) and not self.deleted


def plan_lane(settings: WorkloadSettings, lane: int) -> Iterator[Step]:
    """The steps of one lane, in the order in which they are due, until ``settings.seconds`` are over."""
    rng = random.Random(f"{settings.seed}/{lane}")  # noqa: S311 - a workload, not a secret
    slot_ms = 1_000 * settings.lanes / settings.rate_per_s
    # lanes start evenly spread over one slot, so that together they write at an even pace
    clock_ms = slot_ms * lane / settings.lanes
    waiting: list[tuple[float, int, _Order]] = []
    hot: _Order | None = None
    created = bursts = turn = 0
    while clock_ms < settings.seconds * 1_000:
        turn += 1
        if hot is None or rng.random() < settings.hot_share:
            hot = hot or _hot_order(settings, lane)
            steps = list(_advance_hot(hot, clock_ms))
        elif waiting and waiting[0][0] <= clock_ms:
            _, _, order = heapq.heappop(waiting)
            bursting = rng.random() < settings.burst_share and len(order.ends) - order.at >= BURST_LENGTH
            bursts += bursting
            steps = list(_advance(order, clock_ms, BURST_LENGTH if bursting else 1, bursts if bursting else 0))
            _wait_again(waiting, order, clock_ms, settings, turn)
        else:
            created += 1
            order = _new_order(settings, lane, created)
            steps = list(_advance(order, clock_ms, 1, 0))
            _wait_again(waiting, order, clock_ms, settings, turn)
        if not steps[-1].last and steps[-1].op is not Op.DELETE and rng.random() < settings.noop_share:
            steps.append(_repeat(steps[-1]))
        yield from steps
        clock_ms += slot_ms * len(steps)


def _wait_again(
    waiting: list[tuple[float, int, _Order]], order: _Order, clock_ms: float, settings: WorkloadSettings, turn: int
) -> None:
    """Queue the order for its next step; memory is bounded by the orders that live at once."""
    if not order.finished():
        pause_ms = order.random.expovariate(1 / settings.pause_ms) if settings.pause_ms else 0.0
        heapq.heappush(waiting, (clock_ms + pause_ms, turn, order))


def _new_order(settings: WorkloadSettings, lane: int, serial: int) -> _Order:
    name = f"o-{settings.seed}-{lane:02d}-{serial:06d}"
    rng = random.Random(name)  # noqa: S311 - a workload, not a secret
    cancelled = rng.random() < settings.cancel_share
    ends = (*LIFE[1 : rng.randint(1, LATEST_CANCEL)], "cancelled") if cancelled else LIFE[1:]
    deleted = rng.random() < settings.delete_share
    return _Order(name, rng, ends, deleted, returns=deleted and rng.random() < RETURNING_SHARE)


def _hot_order(settings: WorkloadSettings, lane: int) -> _Order:
    name = f"o-{settings.seed}-{lane:02d}-hot"
    return _Order(name, random.Random(name), ("paid",), deleted=False, returns=False)  # noqa: S311 - as above


def _advance_hot(order: _Order, due_ms: float) -> Iterator[Step]:
    """A hot order is created once, and then is changed again and again without getting on."""
    order.number += 1
    if order.number == 1:
        order.item = _first_item(order)
        yield Step(due_ms, order.name, 1, Op.CREATE, order.status, _stamped(order))
        return
    order.item["note"] = {"S": f"touched {order.number} times"}
    yield Step(due_ms, order.name, order.number, Op.UPDATE, order.status, _stamped(order))


def _advance(order: _Order, due_ms: float, count: int, burst: int) -> Iterator[Step]:
    for _ in range(count):
        order.at += 1
        order.number += 1
        if order.at == 0:
            order.item = _first_item(order)
            yield Step(due_ms, order.name, order.number, Op.CREATE, order.status, _stamped(order), burst)
        elif order.at <= len(order.ends):
            order.item["status"] = {"S": order.ends[order.at - 1]}
            _touch(order)
            last = order.finished()
            yield Step(due_ms, order.name, order.number, Op.UPDATE, order.status, _stamped(order), burst, last)
        else:
            yield _delete(order, due_ms, burst)


def _delete(order: _Order, due_ms: float, burst: int) -> Step:
    """The order goes; a returning one starts a second life, which ends without another delete."""
    returns, order.returns = order.returns, False
    step = Step(due_ms, order.name, order.number, Op.DELETE, order.status, {}, burst, last=not returns)
    if returns:
        order.at = -1
    order.deleted = False
    return step


def _repeat(step: Step) -> Step:
    return Step(step.due_ms, step.order, step.number, None, step.status, step.item, 0)


def _first_item(order: _Order) -> dict[str, Any]:
    """An order of one to four lines; money in cents, without zeros at the end, as DynamoDB keeps it."""
    rng = order.random
    cents = 0
    lines = []
    for _ in range(rng.randint(1, 4)):
        quantity, price = rng.randint(1, 5), rng.randint(99, 49_999)
        cents += quantity * price
        line = {"sku": {"S": rng.choice(SKUS)}, "quantity": {"N": str(quantity)}, "price": {"N": _money(price)}}
        lines.append({"M": line})
    return {
        "orderId": {"S": order.name},
        "status": {"S": LIFE[0]},
        "customerId": {"S": f"c-{rng.randint(1, 5_000):05d}"},
        "currency": {"S": rng.choice(("EUR", "USD", "AUD"))},
        "total": {"N": _money(cents)},
        "lines": {"L": lines},
    }


def _touch(order: _Order) -> None:
    """What a status brings with it beyond the schema: an attribute that not every order has."""
    if order.status == "shipped":
        order.item["carrier"] = {"M": {"name": {"S": "Möwe Express"}, "parcel": {"N": str(order.random.randint(1, 3))}}}
    elif order.status == "cancelled":
        order.item["cancelReason"] = {"S": order.random.choice(("customer", "payment", "stock"))}


def _stamped(order: _Order) -> dict[str, Any]:
    return {**order.item, "revision": {"N": str(order.number)}}


def _money(cents: int) -> str:
    whole, rest = divmod(cents, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
