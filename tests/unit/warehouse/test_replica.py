"""The look-up in the replica: when it waits, and what it gives."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, Item
from consumers.runtime.contracts import NotYetError
from consumers.warehouse import LookUpSettings, Replica, Standing, compare
from schemas.errors import PoisonError
from tests.unit.order_changes import life

CREATED, PAID = life("created", "paid")
DELETED = life("created", deleted=True)[-1]
SETTINGS = LookUpSettings(
    table="orders", version_attribute="revision", attributes=("carrier", "note"), wait_ms=200, poll_ms=50
)


def item(revision: int, **more: Any) -> dict[str, Any]:
    return {"revision": {"N": str(revision)}, **more}


@pytest.mark.parametrize(
    "found, change, expected",
    [
        (item(2), PAID, Standing.SAME),
        (item(3), PAID, Standing.NEWER),
        (item(1), PAID, Standing.BEHIND),
        (None, PAID, Standing.ABSENT),
        (None, CREATED, Standing.BEHIND),
        (None, DELETED, Standing.ABSENT),
        (item(1), DELETED, Standing.BEHIND),
        ({}, PAID, Standing.BEHIND),
    ],
)
def test_where_the_replica_stands(found: Item | None, change: Any, expected: Standing) -> None:
    """Newer and absent are normal; behind is what may be waited for."""
    assert compare(found, change, "revision") is expected


def test_an_order_without_the_attribute_is_poison() -> None:
    """Without a number to compare by, the look-up's settings do not fit this order."""
    with pytest.raises(PoisonError, match="no number height"):
        compare(item(1), PAID, "height")


class Answers(EffectTable):
    """A replica that catches up read by read, and a clock that only sleeping moves."""

    def __init__(self, *answers: Item | None) -> None:
        self.answers = list(answers)
        self.clock_s = 0.0
        self.slept: list[float] = []

    def get(self, key: Item, *, consistent: bool = False) -> Item | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def wait_until(self, due_ms: int) -> None:
        self.slept.append(round(due_ms / 1000 - self.clock_s, 3))
        self.clock_s = due_ms / 1000


def look_up(table: Answers, standing: str) -> Item | None:
    registry = CollectorRegistry()
    replica = Replica(
        table,
        SETTINGS,
        registry=registry,
        now_ms=lambda: round(table.clock_s * 1000),
        monotonic=lambda: table.clock_s,
    )
    while True:
        try:
            details = replica.details(PAID)
            break
        except NotYetError as early:
            table.wait_until(early.due_ms)
    assert replica._until_s == {}, "nothing is remembered of what is done"
    assert registry.get_sample_value("feed_warehouse_look_ups_total", {"standing": standing}) == 1
    return details


def test_it_waits_until_the_replica_has_caught_up() -> None:
    """A replica that is behind is looked at again until it has the change; then its attributes are copied."""
    table = Answers(item(1), item(1), item(2, carrier={"S": "Möwe"}, other={"S": "x"}))
    assert look_up(table, "same") == {"carrier": {"S": "Möwe"}}
    assert table.slept == [0.05, 0.05]


def test_it_acts_on_the_event_after_the_bound() -> None:
    """A replica that stays behind delays the warehouse by no more than the bound, and gives nothing stale."""
    table = Answers(item(1, carrier={"S": "old"}))
    assert look_up(table, "behind") is None
    assert sum(table.slept) == pytest.approx(0.2)


def test_an_order_that_is_gone_does_not_wait() -> None:
    """An order that was deleted since is no reason to wait."""
    table = Answers(None)
    assert look_up(table, "absent") is None
    assert table.slept == []
