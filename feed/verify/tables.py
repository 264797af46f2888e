"""The two tables of effects as evidence: picks (warehouse) and notifications."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_of
from feed.verify.evidence import NOT_KEPT, Place, Seen, UnreadableRecord
from feed.verify.expected import Expected, History
from schemas.change import Op


def scan(client: Any, table: str) -> Iterator[dict[str, Any]]:
    """All items of a table, page by page.

    Raises:
        FeedError: the table cannot be read.
    """
    try:
        for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            yield from page["Items"]
    except (ClientError, BotoCoreError) as error:
        raise aws_error_of(error, f"reading table {table}") from error


class PickEvidence:
    """Each pick shows the changes that it acted on: by name as far as its history goes, beyond that by its counts.

    A pick whose counts say that a change was missed, without saying which, shows that many changes less.
    """

    def __init__(self, place: Place, client: Any, table: str) -> None:
        self.place = place
        self._client, self._table = client, table

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """Every change that every pick acted on, in the order in which the pick did."""
        for item in scan(self._client, self._table):
            yield from changes_of_pick(item)


def changes_of_pick(item: dict[str, Any]) -> Iterator[Seen | UnreadableRecord]:
    """The changes that one pick acted on; pure."""
    order = item["orderId"]["S"]
    where = f"pick {order}"
    if "lastNumber" not in item:
        yield UnreadableRecord(where, "it says nothing of the changes it acted on")
        return
    listed = [entry["S"].partition(":") for entry in item.get("seen", {}).get("L", [])]
    for number, _, status in listed:
        yield _seen(order, int(number), item, where, status)
    last, first, count = (int(item[name]["N"]) for name in ("lastNumber", "firstNumber", "changes"))
    named = [int(number) for number, _, _ in listed]
    # what the list is too short for: the counts of the pick's last life, less what the list names of it
    unnamed = count - sum(number >= first for number in named)
    for number in range(last - unnamed + 1, last + 1):
        yield _seen(order, number, item, where, _last_status(item) if number == last else None)


def _seen(order: str, number: int, item: dict[str, Any], where: str, status: str | None) -> Seen:
    event = item["eventId"]["S"] if number == int(item["lastNumber"]["N"]) else ""
    return Seen(order, number, None, None, None, event, "", NOT_KEPT, 0, where, status)


def _last_status(item: dict[str, Any]) -> str | None:
    if item.get("deleted", {}).get("BOOL"):
        return "deleted"
    return str(item["orderStatus"]["S"]) if "orderStatus" in item else None


class Notified:
    """Is change ``number`` one that a customer hears of? A status with a template, and not the one before."""

    def __init__(self, statuses: frozenset[str]) -> None:
        self._statuses = statuses

    def __call__(self, history: History, number: int) -> bool:
        """As :data:`feed.verify.evidence.Wanted`."""
        status = history.status(number)
        if status not in self._statuses or history.op(number) is Op.DELETE:
            return False
        return history.op(number) is Op.CREATE or history.status(number - 1) != status


class NotificationEvidence:
    """Every notification that was sent.

    Its row names order, status and event, so the k-th row of an order and status, by the event's sequence number, is
    the k-th time that the order got this status.
    """

    def __init__(self, place: Place, client: Any, table: str, expected: Expected, wanted: Notified) -> None:
        self.place = place
        self._client, self._table = client, table
        self._expected, self._wanted = expected, wanted

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """One for each row that says sent; another state is a fault. Memory: one row for each notification."""
        rows: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for item in scan(self._client, self._table):
            identity, state = item["notificationId"]["S"], item["state"]["S"]
            if state != "sent":
                yield UnreadableRecord(f"notification {identity}", f"its state is {state}")
                continue
            event = identity.rpartition("/")[0]
            sequence = int(event.rpartition(":")[2])
            rows[item["orderId"]["S"], item["status"]["S"]].append((sequence, event))
        for (order, status), sent in rows.items():
            numbers = self._numbers(order, status)
            for place, (_, event) in enumerate(sorted(sent)):
                number = numbers[place] if place < len(numbers) else 0
                where = f"notification of {status} for {order}"
                yield Seen(order, number, None, None, None, event, "", NOT_KEPT, 0, where, status)

    def _numbers(self, order: str, status: str) -> list[int]:
        history = self._expected.orders.get(order)
        if history is None:
            return []
        return [
            number
            for number in range(1, len(history) + 1)
            if history.status(number) == status and self._wanted(history, number)
        ]
