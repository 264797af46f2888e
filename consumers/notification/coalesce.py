"""Which messages of an order are worth sending when several come at once. Pure.

A *window* opens with the first message of an order and lasts ``coalesce_within_ms``. Only the last message of a window
is sent, when the window closes; each other one is *coalesced into* a later one of its window. So whatever is dropped, a
later status of the same order is told that came at most a window after it, and what is sent stays in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A message of an order, with the time at which the producer read its change (exact, unlike DynamoDB's)."""

    notification_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Window:
    """An order's open window."""

    since_ms: int
    """Time of its first message's change."""
    until_ms: int
    """When it closes, on this process's clock: a window after its first message was met."""


@dataclass(frozen=True, slots=True)
class Send:
    """Nothing of its window can follow."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Something may follow."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Into:
    """It is not sent: a later one says more."""

    notification_id: str


def window_of(open_window: Window | None, message: Told, *, within_ms: int, now_ms: int) -> Window:
    """The window that a message belongs to: the order's open one, else one that it opens."""
    if open_window is not None and message.at_ms - open_window.since_ms <= within_ms:
        return open_window
    return Window(message.at_ms, now_ms + within_ms)


def decide(later: Sequence[Told], window: Window, *, within_ms: int, now_ms: int) -> Send | Hold | Into:
    """What to do about the order's next message, given those that wait behind it, in order."""
    same = [message for message in later if message.at_ms - window.since_ms <= within_ms]
    if same:
        return Into(same[-1].notification_id)
    if later or now_ms >= window.until_ms:
        return Send()
    return Hold(window.until_ms)
