"""How often DescribeStream is called: AWS allows an account 10 calls a second in a region, for everything together.

Source: "Service, account, and table quotas in Amazon DynamoDB", DynamoDB Streams: DescribeStream 10 per second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

DESCRIBE_LIMIT_PER_SECOND = 10
"""AWS's limit for an account and region."""

JITTER = 0.2
"""Pauses are up to this much longer, so that workers that were started together do not stay in step."""


class CallBudget:
    """Spaces the calls of one worker. Safe to use from any thread.

    Workers need not talk to each other: each takes the part of the feed's budget that its slots are of all slots, and
    the parts of all workers are one whole.
    """

    def __init__(
        self,
        per_second: float,
        *,
        steady_ms: Callable[[], int],
        sleep_ms: Callable[[int], None],
        random: Callable[[], float],
    ) -> None:
        self._per_second, self._steady_ms, self._sleep_ms, self._random = per_second, steady_ms, sleep_ms, random
        self.share = 1.0
        """This worker's part of the budget, above 0 and at most 1."""
        self._next_ms = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait until the next call may begin."""
        with self._lock:
            now = self._steady_ms()
            begin_ms = max(now, self._next_ms)
            pause_ms = 1_000 / (self._per_second * self.share)
            self._next_ms = begin_ms + int(pause_ms * (1 + JITTER * self._random())) + 1
        if begin_ms > now:
            self._sleep_ms(begin_ms - now)


def share_of(own: int, slots: int) -> float:
    """The part of the budget of a worker with ``own`` of ``slots`` slots; one without any, a spare, gets half a slot's.

    Spares come on top of the whole: they list too, so that they know the stream when they take over.
    """
    return max(own, 0.5) / slots
