"""Settings of the warehouse."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.settings import Settings


class WarehouseSettings(Settings):
    """The warehouse: every new order starts a pick; later changes update, cancel or close it."""

    table: str = "picks"
    """DynamoDB table of the picks in this region; its key is the text attribute ``orderId``."""
    status_attribute: str = "status"
    """Attribute of an order that says where it stands."""
    number_attribute: str | None = "revision"
    """Attribute that numbers the writes of an order 1, 2, 3, …; the pick then shows whether each was seen. Optional."""
    cancelled_statuses: tuple[str, ...] = ("cancelled",)
    """Statuses after which there is nothing more to pick."""
    closed_statuses: tuple[str, ...] = ("delivered",)
    """Statuses after which the pick is done with."""
    keep_history: Annotated[int, Field(ge=0, le=10_000)] = 0
    """The pick lists the changes it acted on, up to the change of this number; 0 keeps the counts only."""
