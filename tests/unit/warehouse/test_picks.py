"""What a change makes of its order's pick."""

from __future__ import annotations

import pytest

from consumers.warehouse import PickStatus, WarehouseSettings, pick_of, update_of
from schemas.change import Op
from tests.unit.order_changes import change, life, order

SETTINGS = WarehouseSettings()


@pytest.mark.parametrize(
    "status, expected",
    [
        ("created", PickStatus.OPEN),
        ("paid", PickStatus.OPEN),
        ("a status nobody knows", PickStatus.OPEN),
        ("cancelled", PickStatus.CANCELLED),
        ("delivered", PickStatus.CLOSED),
    ],
)
def test_status_of_the_pick_follows_the_order(status: str, expected: PickStatus) -> None:
    """Every status but the last words keeps the pick open, one that is new to this version among them."""
    assert pick_of(change(Op.UPDATE, None, order(status, 3), sequence=30), SETTINGS).status is expected


def test_delete_cancels_and_counts_one_further() -> None:
    """A delete has no after-image: it comes one after the image before it, and leaves a tombstone."""
    pick = pick_of(life("created", "paid", deleted=True)[-1], SETTINGS)
    assert (pick.status, pick.deleted, pick.number, pick.order_status) == (PickStatus.CANCELLED, True, 3, "paid")


def test_delete_of_a_delivered_order_leaves_it_closed() -> None:
    """An order that was delivered and is cleaned away later was not cancelled."""
    assert pick_of(life("created", "delivered", deleted=True)[-1], SETTINGS).status is PickStatus.CLOSED


def test_a_table_without_the_attributes() -> None:
    """Orders without status and number attributes still start picks; nothing is counted that is not there."""
    after = {"orderId": "o-1", "extra": {}}
    update = update_of(
        pick_of(change(Op.CREATE, None, after, sequence=1), SETTINGS),
        change(Op.CREATE, None, after, sequence=1),
        now_ms=5,
        keep_history=9,
    )
    assert ":number" not in update.values
    assert ":status" not in update.values
    assert "startedAt = :now" in update.set_expression


def test_history_is_bounded() -> None:
    """Changes numbered beyond the bound are counted, and no longer listed."""
    created, paid = life("created", "paid")
    assert ":seen" in update_of(pick_of(created, SETTINGS), created, now_ms=1, keep_history=1).values
    assert ":seen" not in update_of(pick_of(paid, SETTINGS), paid, now_ms=1, keep_history=1).values
