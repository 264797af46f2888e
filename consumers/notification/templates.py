"""From a change to the message it is worth. Pure."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from connectors.messaging import Message
from consumers.notification.settings import AfterCrash, NotificationSettings
from schemas.change import Change, Op
from schemas.errors import PoisonError
from schemas.key import key_text

_TOLD_OPS = frozenset({Op.CREATE, Op.UPDATE})
"""A row of a first load (``r``) is no news, whatever topic it comes by; a delete changes no status."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that a change calls for."""

    notification_id: str
    """The same however often the change is read: ``<event id>/<status>``."""
    order_id: str
    status: str
    message: Message
    after_crash: AfterCrash


def notification_of(change: Change, settings: NotificationSettings) -> Notification | None:
    """The message for a change; None when there is nothing to tell.

    Raises:
        PoisonError: a template names an attribute that this order does not have.
    """
    if change.op not in _TOLD_OPS or change.after is None:
        return None
    status = str(change.after.get(settings.status_attribute))
    before = None if change.before is None else str(change.before.get(settings.status_attribute))
    template = settings.templates.get(status)
    if template is None or status == before:
        return None
    order_id = key_text(change.key)
    notification_id = f"{change.source.event_id}/{status}"
    message = Message(
        # a line break in a value must not become a header of its own
        recipient=" ".join(_filled(settings.recipient, change.after, "recipient", str).split()),
        subject=" ".join(_filled(template.subject, change.after, "subject", str).split()),
        text=_filled(template.text, change.after, "text", str),
        html=None if template.html is None else _filled(template.html, change.after, "html", html.escape),
        dedupe_id=notification_id.replace("/", "_"),
        group_id=order_id,
        attributes={"eventId": change.source.event_id, "orderId": order_id, "status": status},
    )
    return Notification(notification_id, order_id, status, message, template.after_crash)


class _Attributes(Mapping[str, str]):
    """An image's attributes as text, each escaped; one that is absent or null is an error, never an empty place."""

    def __init__(self, image: Mapping[str, Any], escape: Callable[[str], str]) -> None:
        self._image = image
        self._escape = escape

    def __getitem__(self, name: str) -> str:
        value = self._image.get(name)
        if value is None:
            raise KeyError(name)
        return self._escape(str(value))

    def __iter__(self) -> Iterator[str]:
        return iter(self._image)

    def __len__(self) -> int:
        return len(self._image)


def _filled(text: str, image: Mapping[str, Any], part: str, escape: Callable[[str], str]) -> str:
    try:
        return Template(text).substitute(_Attributes(image, escape))
    except KeyError as missing:
        raise PoisonError(
            f"the {part} needs the attribute {missing}, which this order does not have",
            hint="mend the template, then `feed dead-letters retry` tells those who were not told",
            path=f"after.{missing.args[0]}",
        ) from missing
    except ValueError as error:
        raise PoisonError(
            f"the {part} is no template: {error}", hint="write ${attribute}, and $$ for a dollar sign"
        ) from error
