"""Settings of the warehouse."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from connectors.messaging import SqsSettings
from schemas.settings import Settings


class LookUpSettings(Settings):
    """A look at the order in this region's replica of the table, for what the event does not carry.

    The event stays the truth: the replica may be newer (later changes are on their way to us as well), may not have the
    order any more, or may be behind; then the look-up waits within a bound, and the warehouse acts on the event alone.
    """

    table: str
    """The global table's replica in this region."""
    version_attribute: str
    """A number attribute that grows with every write of an order; the replica and the event are compared by it."""
    attributes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Attributes of the order that are copied into the pick, under ``details``."""
    wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    """How long to wait for a replica that is behind."""
    poll_ms: Annotated[int, Field(ge=1)] = 50
    """How often it is looked at meanwhile."""


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
    look_up: LookUpSettings | None = None
    """Enriches picks from this region's replica of the table; it costs a read for each change. Absent: never."""
    hand_over: SqsSettings | None = None
    """Hands every pick on to an SQS FIFO queue, in order for each order. Absent: the table is all."""
    keep_history: Annotated[int, Field(ge=0, le=10_000)] = 0
    """The pick lists the changes it acted on, up to the change of this number; 0 keeps the counts only."""
