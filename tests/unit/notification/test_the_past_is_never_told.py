"""Tries to make the notifications tell customers about the past, in every way that a feed has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from connectors.dynamodb import create_effect_table
from consumers.notification import KEY
from schemas.change import Change, Op
from schemas.marker import SnapshotMarker, marker_headers
from schemas.replay import replay_topic
from tests.unit.notification.shop import CODEC, Shop
from tests.unit.order_changes import change, life, order

LIFE = life("created", "paid", "shipped", "delivered")


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        create_effect_table(made, "notifications", KEY)
        yield made


def row(status: str, *, epoch: int) -> Change:
    """A row of a first load."""
    return change(Op.READ, None, order(status, 3), sequence=0, epoch=epoch)


@pytest.mark.parametrize("within_ms", [0, 100])
def test_a_first_load_a_reload_and_their_end(client: Any, within_ms: int) -> None:
    """Rows of two loads with told statuses, with and without headers, and the markers of their ends: nobody is told."""
    shop = Shop(client, within_ms)
    for epoch in (1, 2):
        for status in ("paid", "shipped", "delivered"):
            shop.put(row(status, epoch=epoch))
            shop.broker.put(b"o-1", CODEC.encode(row(status, epoch=epoch)))  # headers were lost on the way
        marker = SnapshotMarker(epoch=epoch, partition=0, partitions=1, at_ms=1)
        shop.broker.put(None, None, headers=marker_headers(marker, "urn:dynamodb:eu-west-1:orders"))
    shop.run()
    assert shop.sent == []
    assert shop.metric("feed_consumer_passed_over_total", sink="notification", reason="first-load") == 6
    assert shop.metric("feed_consumer_passed_over_total", sink="notification", reason="snapshot-complete") == 2


def test_a_replay_on_the_live_topic(client: Any) -> None:
    """Copies with the replay's header, behind the originals and on their own: only the originals are told."""
    shop = Shop(client)
    for told in LIFE[:2]:
        shop.put(told)
    for told in LIFE:
        shop.put(told, ("ce_replay", b"r-1"))
    shop.run()
    assert shop.sent == ["paid o-1"]


def test_a_replays_own_topic(client: Any) -> None:
    """Somebody points the sink at a replay's topic whose copies have lost their header: nobody is told."""
    shop = Shop(client, topic=replay_topic("orders", "notification"))
    for told in LIFE:
        shop.put(told)
    shop.run()
    assert shop.sent == []
