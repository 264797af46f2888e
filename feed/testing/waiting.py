"""Waiting for what another process or thread does, within a bound: what a test does instead of a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 120.0
"""How long a condition may take when nothing else is said: a bound against hanging, not a measure of speed."""

FIRST_PAUSE_S = 0.005
"""The first look again is soon, since most conditions hold at once; each later pause is half as long again …"""

PAUSE_MAX_S = 0.1
"""… up to this one, so that a condition that asks a broker does not load it."""


def until(condition: Callable[[], T], what: str | Callable[[], str], *, within_s: float = WITHIN_S) -> T:
    """Ask again and again until the answer is true (or full, or not None), and return that answer.

    Args:
        condition: is asked at least once, and once more after the time is over.
        what: is awaited, in words, for the error; a callable is asked for them then, and can tell how far things are.
        within_s: seconds.

    Raises:
        AssertionError: the condition did not hold within that time. What the condition raises, passes through.
    """
    deadline = time.monotonic() + within_s
    pause_s = FIRST_PAUSE_S
    while not (found := condition()):
        if time.monotonic() >= deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {within_s:g} s for: {told}")
        time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        pause_s = min(pause_s * 1.5, PAUSE_MAX_S)
    return found
