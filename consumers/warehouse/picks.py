"""From a change of an order to the one conditional write of its pick. Pure.

A pick is an item of the table ``picks``:

==============  ====  =================================================================================================
attribute       type  meaning
==============  ====  =================================================================================================
``orderId``     S     the order's key as text
``version``     S     :meth:`schemas.version.Version.to_text` of the last change that was acted on
``eventId``     S     its event id
``pickStatus``  S     ``open``, ``cancelled`` or ``closed``
``orderStatus`` S     the order's status by the event; absent when the order has none
``deleted``     BOOL  true: the order was deleted (a tombstone, so that older changes stay without effect)
``startedAt``   N     when the pick began, ms; absent when there was never anything to pick
``startedBy``   S     event id of the change that began it
``reactedAt``   N     when the last change was acted on, ms
``changes``     N     how many changes were acted on since ``firstNumber``
``firstNumber`` N     number (revision) of the first of them
``lastNumber``  N     number of the last: ``changes = lastNumber - firstNumber + 1`` exactly when none was missed
``seen``        L     with ``keep_history``: ``<number>:<status>`` of each change, ``<number>:deleted`` for a delete
``details``     M     with ``look_up``: the attributes of the order that the replica had
==============  ====  =================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connectors.dynamodb import Item, Update
from consumers.warehouse.settings import WarehouseSettings
from schemas.change import Change, Image, Op
from schemas.key import key_text

KEY = "orderId"

CONDITION = "attribute_not_exists(#version) OR #version < :version"
"""Idempotence and order in one: what was seen, or is older than what was seen, changes nothing."""


class PickStatus(StrEnum):
    """What is to be done about an order."""

    OPEN = "open"
    CANCELLED = "cancelled"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Pick:
    """What a change makes of its order's pick."""

    order_id: str
    status: PickStatus
    order_status: str | None
    deleted: bool
    number: int | None
    """The number of the write; a delete comes one after the image before it."""
    begins: bool
    """True when the order was created by this very change: a new life, whatever came before."""
    row: bool = False
    """True for a row of a snapshot: it is no change, so it is neither counted nor listed where the order is known."""


def pick_of(change: Change, settings: WarehouseSettings) -> Pick:
    """Decide what a change makes of its pick; it is complete in itself, whatever is known of the order.

    A change that is not the last word opens the pick also of an order nobody has heard of: its first event may have
    come by another way. A last word on an unknown order leaves a row without a start: there is nothing to pick.
    """
    image = change.after if change.after is not None else change.before
    status = _text(image, settings.status_attribute)
    deleted = change.op is Op.DELETE
    if status in settings.closed_statuses:
        pick = PickStatus.CLOSED
    elif deleted or status in settings.cancelled_statuses:
        pick = PickStatus.CANCELLED
    else:
        pick = PickStatus.OPEN
    number = _number(image, settings.number_attribute)
    if number is not None and deleted:
        number += 1
    return Pick(key_text(change.key), pick, status, deleted, number, change.op is Op.CREATE, change.op is Op.READ)


def update_of(pick: Pick, change: Change, *, now_ms: int, keep_history: int, details: Item | None = None) -> Update:
    """The one conditional write for a pick; no read is needed before it."""
    now = {"N": str(now_ms)}
    values: dict[str, Any] = {
        ":version": {"S": change.version.to_text()},
        ":event": {"S": change.source.event_id},
        ":pick": {"S": pick.status.value},
        ":deleted": {"BOOL": pick.deleted},
        ":now": now,
        ":one": {"N": "1"},
    }
    names = {"#version": "version"}
    assignments = [
        "#version = :version",
        "eventId = :event",
        "pickStatus = :pick",
        "deleted = :deleted",
        "reactedAt = :now",
    ]
    if pick.order_status is not None:
        values[":status"] = {"S": pick.order_status}
        assignments.append("orderStatus = :status")
    if pick.status is PickStatus.OPEN:
        assignments += (
            ["startedAt = :now", "startedBy = :event"]
            if pick.begins
            else ["startedAt = if_not_exists(startedAt, :now)", "startedBy = if_not_exists(startedBy, :event)"]
        )
    if details:
        values[":details"] = {"M": dict(details)}
        assignments.append("details = :details")
    assignments += _counting(pick, values, keep_history)
    # a create begins to count anew: SET and ADD of one attribute exclude each other
    add = "" if pick.begins or pick.row else " ADD changes :one"
    return Update("SET " + ", ".join(assignments) + add, CONDITION, names, values)


def key_of(pick: Pick) -> Item:
    """The key of the pick's item."""
    return {KEY: {"S": pick.order_id}}


def _counting(pick: Pick, values: dict[str, Any], keep_history: int) -> list[str]:
    assignments = ["changes = :one"] if pick.begins else []
    if pick.row:
        assignments = ["changes = if_not_exists(changes, :one)"]
    if pick.number is None:
        return assignments
    values[":number"] = {"N": str(pick.number)}
    first = "firstNumber = :number" if pick.begins else "firstNumber = if_not_exists(firstNumber, :number)"
    assignments += ["lastNumber = :number", first]
    if pick.number <= keep_history and not pick.row:
        values[":seen"] = {"L": [{"S": f"{pick.number}:{'deleted' if pick.deleted else pick.order_status}"}]}
        values[":none"] = {"L": []}
        assignments.append("seen = list_append(if_not_exists(seen, :none), :seen)")
    return assignments


def _text(image: Image | None, attribute: str) -> str | None:
    value = image.get(attribute) if image is not None else None
    return None if value is None else str(value)


def _number(image: Image | None, attribute: str | None) -> int | None:
    value = image.get(attribute) if image is not None and attribute is not None else None
    return None if value is None else int(value)
