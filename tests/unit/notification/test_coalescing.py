"""Messages of an order that come close together, and are coalesced because that is configured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from connectors.dynamodb import create_effect_table
from consumers.notification import KEY
from consumers.notification.coalesce import Hold, Into, Send, Told, Window, decide, window_of
from schemas.change import Op
from tests.unit.notification.shop import GROUP, Shop
from tests.unit.order_changes import change, life, order

WITHIN_MS = 1_000


@given(
    st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 3)), min_size=1, max_size=12), st.integers(1, WITHIN_MS)
)
def test_whatever_is_dropped_a_later_message_says_soon(gaps: list[tuple[int, int]], within_ms: int) -> None:
    """Each message is sent, or one after it that came at most a window later is; what is sent is in order, once."""
    at_ms, messages, fetched = 0, list[Told](), list[int]()
    for number, (gap_ms, ahead) in enumerate(gaps):
        at_ms += gap_ms
        messages.append(Told(str(number), at_ms))
        fetched.append(ahead)
    window: Window | None = None
    sent: list[int] = []
    into: dict[int, int] = {}
    now_ms, number = 0, 0
    while number < len(messages):
        window = window_of(window, messages[number], within_ms=within_ms, now_ms=now_ms)
        ahead = messages[number + 1 : number + 1 + fetched[number]]
        match decide(ahead, window, within_ms=within_ms, now_ms=now_ms):
            case Hold(until_ms):
                assert until_ms > now_ms
                now_ms = until_ms
                fetched[number] = len(messages)  # meanwhile everything has come
                continue
            case Into(later):
                into[number] = int(later)
            case Send():
                sent.append(number)
        number += 1
    assert sent == sorted(set(sent))
    assert sent[-1] == len(messages) - 1
    for dropped, later in into.items():
        assert later > dropped
        said = min(number for number in sent if number > dropped)
        assert messages[said].at_ms - messages[dropped].at_ms <= within_ms
    assert len(sent) + len(into) == len(messages)


def test_the_rule_by_example() -> None:
    """A → B → C within the window: into C; with none behind it: held; past the window, or once it closes: sent."""
    window = Window(since_ms=100, until_ms=5_000)
    b, c, much_later = Told("b", 600), Told("c", 1_100), Told("d", 1_101)
    assert decide([b, c, much_later], window, within_ms=1_000, now_ms=4_000) == Into("c")
    assert decide([], window, within_ms=1_000, now_ms=4_000) == Hold(5_000)
    assert decide([much_later], window, within_ms=1_000, now_ms=4_000) == Send()
    assert decide([], window, within_ms=1_000, now_ms=5_000) == Send()


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        create_effect_table(made, "notifications", KEY)
        yield made


def test_by_default_every_status_is_told(client: Any) -> None:
    """Without the setting three statuses in the same millisecond are three messages."""
    shop = Shop(client, 0)
    for told in life("created", "paid", "shipped", "delivered"):
        shop.put(told)
    shop.run()
    assert shop.sent == ["paid o-1", "shipped o-1", "delivered o-1"]


def test_only_the_last_of_a_window_is_told(client: Any) -> None:
    """Configured: one message, of the last status; the rows of the others name it; no retry is counted meanwhile."""
    shop = Shop(client, 200)
    changes = life("created", "paid", "shipped", "delivered")
    for told in changes:
        shop.put(told)
    shop.put(life("created", "paid", order_id="o-2", base=100)[1])
    shop.run()
    assert sorted(shop.sent) == ["delivered o-1", "paid o-2"]
    into = f"{changes[3].source.event_id}/delivered"
    for told in changes[1:3]:
        row = shop.row(told)
        assert (row["state"], row["coalescedInto"]) == ("coalesced", into)
    assert shop.row(changes[3])["state"] == "sent"
    assert shop.metric("feed_notifications_total", status="paid", outcome="coalesced") == 1
    assert shop.metric("feed_consumer_retries_total", sink="notification", error="NotYetError") == 0
    assert shop.broker.read(f"{GROUP}.dead-letter") == []


def test_a_message_that_cannot_be_made_swallows_none(client: Any) -> None:
    """Nothing is coalesced into a message whose template cannot be filled, into a replay, or into a first load."""
    shop = Shop(client, 200)
    shop.settings.templates["shipped"] = shop.settings.templates["shipped"].model_copy(update={"text": "${nobody}"})
    changes = life("created", "paid", "shipped", "delivered")
    for told in changes[:3]:
        shop.put(told)
    shop.put(changes[3], ("ce_replay", b"r-1"))
    shop.put(change(Op.READ, None, order("delivered", 4), sequence=0))
    shop.run()
    assert shop.sent == ["paid o-1"]
    assert len(shop.broker.read(f"{GROUP}.dead-letter")) == 1
