"""Settings of the notifications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.messaging import AnyMessenger
from schemas.settings import Settings

AfterCrash = Literal["resend", "flag"]


class TemplateSettings(Settings):
    """What a customer is told; ``${attribute}`` is an attribute of the order after the change."""

    subject: str
    """Subject line."""
    text: str
    """Body as text."""
    html: str | None = None
    """Body as HTML; attributes are escaped."""
    after_crash: AfterCrash = "resend"
    """When it is unknown whether a message went out (a crash, no answer): ``resend`` it, which may tell a customer
    twice, or ``flag`` it for a person to look at, which may tell a customer never."""


def _templates() -> dict[str, TemplateSettings]:
    return {
        "paid": TemplateSettings(
            subject="We have your payment for order ${orderId}",
            text="Thank you. Your order ${orderId} is paid, and we are getting it ready.",
        ),
        "shipped": TemplateSettings(
            subject="Your order ${orderId} is on its way", text="Your order ${orderId} has left our warehouse."
        ),
        "delivered": TemplateSettings(
            subject="Your order ${orderId} has arrived", text="Your order ${orderId} was delivered. Enjoy it."
        ),
        "cancelled": TemplateSettings(
            subject="Your order ${orderId} is cancelled", text="Your order ${orderId} was cancelled."
        ),
    }


class NotificationSettings(Settings):
    """The notifications: customers hear of the status changes that have a template."""

    messenger: AnyMessenger
    """What carries them."""
    table: str = "notifications"
    """DynamoDB table of what was sent in this region; its key is the text attribute ``notificationId``."""
    status_attribute: str = "status"
    """Attribute of an order that says where it stands."""
    recipient: str = "${customerId}@customers.example"
    """Who is told, made from the order's attributes."""
    templates: dict[str, TemplateSettings] = Field(default_factory=_templates)
    """Status → what is said when an order gets it. A status that is not here is told to nobody."""
    lease_ms: Annotated[int, Field(ge=1_000)] = 30_000
    """How long one process may take to send a message before another one, which has seen its claim unchanged for so
    long, settles what became of it. Above the messenger's own time-outs."""
    coalesce_within_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """Of messages of one order that come within so long of the first, only the last is sent, and each waits that long;
    0: every message is sent at once. What is not sent stays in the table, with the message that says more."""
    rate_per_s: Annotated[float, Field(gt=0)] = 14.0
    """Messages a second, of this process: the provider's limit divided by the number of processes."""
