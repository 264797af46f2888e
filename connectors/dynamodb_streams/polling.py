"""When to ask a shard again: at the tip a few times a second, idle ever more rarely, behind as fast as it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """Bounds of the polling of one shard, in milliseconds."""

    interval_ms: int = 250
    """Between two calls at the tip: 4 a second (AWS allows a shard 2 readers, and each some calls a second)."""
    idle_max_ms: int = 1_000
    """The longest pause between two calls to an idle shard."""
    idle_after: int = 8
    """Empty answers in a row before the pauses grow."""
    page_max_records: int = 1_000
    """Records asked for in one call (the service's own limit)."""
    behind_after_ms: int = 2_000
    """A page whose newest record is older than this is followed at once by the next call."""
    error_min_ms: int = 100
    """First pause after an error; it doubles with each further one."""
    error_max_ms: int = 5_000
    """Longest pause after an error."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a shard has been answering."""

    empties: int = 0
    errors: int = 0
    delay_ms: int = 0
    """Pause before the next call."""


def after_page(policy: PollPolicy, pace: Pace, *, records: int, newest_ms: int, now_ms: int, closed: bool) -> Pace:
    """The pace after an answer.

    Args:
        policy: the bounds.
        pace: the pace so far.
        records: how many records came.
        newest_ms: creation time of the last of them.
        now_ms: the time now.
        closed: the listing shows the shard's end: what is left can be read without waiting for more.
    """
    if records == 0:
        empties = pace.empties + 1
        if closed:
            return Pace(empties, 0, min(policy.interval_ms, 5 * empties))
        doublings = min(16, max(0, empties - policy.idle_after))
        return Pace(empties, 0, min(max(policy.idle_max_ms, policy.interval_ms), policy.interval_ms << doublings))
    # a server that cuts times to the minute makes a fresh record look up to a minute old
    grain_ms = MINUTE_MS if newest_ms % MINUTE_MS == 0 else 1_000
    behind = records * 2 >= policy.page_max_records or now_ms - newest_ms - grain_ms > policy.behind_after_ms
    return Pace(0, 0, 0 if behind or closed else policy.interval_ms)


def after_error(policy: PollPolicy, pace: Pace, random: Callable[[], float]) -> Pace:
    """The pace after an error: exponential back-off with full jitter above the half, bounded."""
    errors = pace.errors + 1
    ceiling = min(policy.error_max_ms, policy.error_min_ms << min(errors - 1, 16))
    return Pace(pace.empties, errors, int(ceiling * (0.5 + random() / 2)))
