"""Tells one bad key from a dependency that is down. Pure."""

from __future__ import annotations

from collections.abc import Callable

from consumers.runtime.backoff import Backoff


class Outage:
    """After so many failures with no success between, one record is tried at a time, with back-off, until one works.

    Without it an outage would park every key that comes, each after a time-out of its own, until all bounds are full.
    """

    def __init__(self, after: int, backoff: Backoff, random: Callable[[], float]) -> None:
        self._after = after
        self._backoff = backoff
        self._random = random
        self._failures = 0
        self._next_try_ms = 0

    @property
    def on(self) -> bool:
        """True while the dependency counts as down."""
        return self._failures >= self._after

    def may_try(self, now_ms: int, in_flight: int) -> bool:
        """True when a record may be taken now, with so many in flight."""
        return not self.on or (in_flight == 0 and now_ms >= self._next_try_ms)

    def wait_ms(self, now_ms: int) -> int:
        """How long until the next try of an outage."""
        return max(0, self._next_try_ms - now_ms)

    def failed(self, now_ms: int) -> bool:
        """A retryable failure. Returns True when the outage begins with it."""
        self._failures += 1
        if self.on:
            self._next_try_ms = now_ms + self._backoff.delay_ms(self._failures - self._after + 1, self._random)
        return self._failures == self._after

    def worked(self) -> bool:
        """A success. Returns True when an outage ends with it."""
        ended, self._failures = self.on, 0
        return ended
