"""Which changes are told, and in which words."""

from __future__ import annotations

import pytest

from consumers.notification import NotificationSettings, TemplateSettings, notification_of
from schemas.change import Op
from schemas.errors import PoisonError
from tests.unit.order_changes import change, life, order

SETTINGS = NotificationSettings.model_validate({"messenger": {"kind": "ses", "sender": "shop@example.org"}})


def with_template(**template: str) -> NotificationSettings:
    return SETTINGS.model_copy(update={"templates": {"paid": TemplateSettings.model_validate(template)}})


def test_a_life_is_told_by_its_configured_statuses() -> None:
    """Each configured status is told once, when the order gets it; others are not."""
    told = [notification_of(each, SETTINGS) for each in life("created", "paid", "packed", "shipped", "delivered")]
    assert [n.status if n else None for n in told] == [None, "paid", None, "shipped", "delivered"]
    assert told[1] is not None
    assert told[1].notification_id == "shardId-1:20/paid"
    assert told[1].message.recipient == "c-1@customers.example"
    assert told[1].message.subject == "We have your payment for order o-1"
    assert told[1].message.group_id == "o-1"


def test_a_change_of_something_else_is_not_told() -> None:
    """A write that leaves the status as it was is no news."""
    paid = order("paid", 2)
    assert notification_of(change(Op.UPDATE, paid, paid | {"revision": 3}, sequence=30), SETTINGS) is None


def test_first_load_and_delete_are_not_told() -> None:
    """A row of a first load and a delete have no message, whatever topic they came by."""
    assert notification_of(change(Op.READ, None, order("paid", 2), sequence=0), SETTINGS) is None
    assert notification_of(life("created", "paid", deleted=True)[-1], SETTINGS) is None


def test_html_is_escaped_and_headers_cannot_be_injected() -> None:
    """What a customer wrote becomes neither markup nor a header of its own."""
    settings = with_template(subject="${name}", text="${name}", html="<b>${name}</b>")
    told = notification_of(
        change(Op.CREATE, None, order("paid", 1, name="<i>\r\nBcc: all@example.org"), sequence=1), settings
    )
    assert told is not None
    assert told.message.subject == "<i> Bcc: all@example.org"
    assert told.message.html == "<b>&lt;i&gt;\r\nBcc: all@example.org</b>"


@pytest.mark.parametrize("text, path", [("${nobody}", "after.nobody"), ("${total}", "after.total"), ("50 $ off", "")])
def test_a_template_that_cannot_be_filled_is_poison(text: str, path: str) -> None:
    """An absent or null attribute, or a stray dollar sign, goes to the dead letters: nobody gets half a sentence."""
    with pytest.raises(PoisonError) as error:
        notification_of(change(Op.CREATE, None, order("paid", 1), sequence=1), with_template(subject="x", text=text))
    assert error.value.path == path
