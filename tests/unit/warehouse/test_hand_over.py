"""Picks handed on to a queue: each once, in order, whatever crashes between write and queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, create_effect_table
from connectors.messaging import MaybeSentError, Message
from consumers.warehouse import KEY, WarehouseSettings, WarehouseSink
from schemas.errors import RetryableError
from tests.unit.order_changes import life


class Queue:
    """A messenger that can fail once, before or after taking the message."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.failing: Exception | None = None

    def send(self, message: Message) -> str:
        failing, self.failing = self.failing, None
        if failing is None or isinstance(failing, MaybeSentError):
            self.taken.append(message)
        if failing is not None:
            raise failing
        return "m"


@pytest.fixture
def table() -> Iterator[EffectTable]:
    with mock_aws():
        client: Any = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        create_effect_table(client, "picks", KEY)
        yield EffectTable(client, "picks")


def sink(table: EffectTable, queue: Queue) -> WarehouseSink:
    return WarehouseSink(table, WarehouseSettings(), registry=CollectorRegistry(), now_ms=lambda: 1, queue=queue)


def test_each_change_is_handed_over_in_order_for_its_order(table: EffectTable) -> None:
    """Group is the order, dedupe id the event: a FIFO queue keeps the order and drops repeats."""
    queue = Queue()
    warehouse = sink(table, queue)
    created, paid, cancelled = life("created", "paid", "cancelled")
    for change in (created, paid, cancelled):
        warehouse.handle(change)
    assert [json.loads(m.text)["pickStatus"] for m in queue.taken] == ["open", "open", "cancelled"]
    assert {m.group_id for m in queue.taken} == {"o-1"}
    assert [m.dedupe_id for m in queue.taken] == [c.source.event_id for c in (created, paid, cancelled)]


def test_an_older_change_is_not_handed_over(table: EffectTable) -> None:
    """What comes after something newer changes nothing, and the queue does not hear of it."""
    queue = Queue()
    created, paid = life("created", "paid")
    warehouse = sink(table, queue)
    warehouse.handle(paid)
    warehouse.handle(created)
    assert [m.dedupe_id for m in queue.taken] == [paid.source.event_id]


@pytest.mark.parametrize("error", [RetryableError("away", hint=""), MaybeSentError("no answer", hint="")])
def test_a_failure_between_write_and_queue_is_made_good(table: EffectTable, error: Exception) -> None:
    """The pick is written, the queue failed: the retry is refused as a repeat and hands over under the same id."""
    queue = Queue()
    queue.failing = error
    warehouse = sink(table, queue)
    (created,) = life("created")
    with pytest.raises(type(error)):
        warehouse.handle(created)
    warehouse.handle(created)
    assert {m.dedupe_id for m in queue.taken} == {created.source.event_id}
    assert len(queue.taken) == (2 if isinstance(error, MaybeSentError) else 1)
