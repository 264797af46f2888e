"""How often DescribeStream is called: AWS allows an account 10 calls a second in a region, for everything together.

Source: the API reference of DescribeStream, "at a maximum rate of 10 times per second".

Workers do not talk to each other, but they share slots, and clocks. So time is cut into windows, one call each, and the
windows go round: the first belongs to the owner of slot 0, the next to that of slot 1, and so on. Nobody calls outside
its windows, not even when it starts, and who has no slot does not call. However many workers there are, and however
many shards they list, all of them together call about ``per_second`` times a second. Clocks that differ by some windows
only change whose call comes first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from schemas.errors import RetryableError

DESCRIBE_LIMIT_PER_SECOND = 10
"""AWS's limit for an account and region."""


class CallBudget:
    """When one worker may call. Safe to use from any thread.

    Args:
        per_second: calls of all workers together.
        now_ms: the time of day, which all workers share.
        sleep_ms: waits; it may return early when the worker ends.
        random: in [0, 1): calls come somewhere in the first half of their window.
    """

    def __init__(
        self,
        per_second: float,
        *,
        now_ms: Callable[[], int],
        sleep_ms: Callable[[int], None],
        random: Callable[[], float],
    ) -> None:
        self._window_ms = 1_000 / per_second
        self._now_ms, self._sleep_ms, self._random = now_ms, sleep_ms, random
        self._turns, self._round = frozenset[int](), 1
        self._last = -1
        self._lock = threading.Lock()

    def assign(self, own: frozenset[int], slots: int) -> None:
        """This worker has the slots ``own`` of ``slots``, and with them its windows."""
        with self._lock:
            self._turns, self._round = own, slots

    def take(self) -> None:
        """Wait for this worker's next window.

        Raises:
            RetryableError: it has no slot, or lost it while it waited: others list now.
        """
        while True:
            window, begin_ms = self._next()
            now = self._now_ms()
            if begin_ms > now:
                self._sleep_ms(int(begin_ms - now) + 1)
            with self._lock:
                # a late wake-up falls into another's window, and the window's slot may be another worker's by now
                late = int(self._now_ms() // self._window_ms) > window
                if not late and window % self._round in self._turns:
                    self._last = window
                    return

    def _next(self) -> tuple[int, float]:
        """The next window of this worker's that it has not used, and when to call in it."""
        with self._lock:
            if not self._turns:
                raise RetryableError(
                    "this worker has no slot, so others list the shards", hint="it lists when it is given one"
                )
            window = int(self._now_ms() // self._window_ms)
            # unless the clock was set back, a window is used once
            if self._last < window + self._round:
                window = max(window, self._last + 1)
            while window % self._round not in self._turns:
                window += 1
            return window, (window + self._random() / 2) * self._window_ms
