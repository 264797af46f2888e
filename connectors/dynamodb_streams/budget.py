"""How often DescribeStream is called: AWS allows an account 10 calls a second in a region, for everything together.

Source: the API reference of DescribeStream, "at a maximum rate of 10 times per second".

Workers do not talk to each other, but they share slots, and clocks. So time is cut into windows, one call each, and the
windows go round: the first belongs to the owner of slot 0, the next to that of slot 1, and so on, one more to those who
have no slot. However many workers there are, and however many shards they list, all of them together call about
``per_second`` times a second. Clocks that differ by some windows only change whose call comes first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

DESCRIBE_LIMIT_PER_SECOND = 10
"""AWS's limit for an account and region."""


SPARE_ROUNDS = 4
"""Those without a slot share one window a round, and take it once in up to so many rounds, by chance."""


class CallBudget:
    """When one worker may call. Safe to use from any thread.

    Args:
        per_second: calls of all workers together.
        now_ms: the time of day, which all workers share.
        sleep_ms: waits.
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
        self._turns, self._round, self._spare = frozenset({0}), 1, False
        self._last = -1
        self._lock = threading.Lock()

    def assign(self, own: frozenset[int], slots: int) -> None:
        """This worker has the slots ``own`` of ``slots``; none of them: it is a spare, and lists all the same."""
        with self._lock:
            self._turns, self._round, self._spare = own or frozenset({slots}), slots + 1, not own

    def take(self) -> None:
        """Wait until this worker's next window; its very first call, when it starts, waits for none."""
        with self._lock:
            now = self._now_ms()
            window = current = int(now // self._window_ms)
            if self._last >= 0:
                window = max(current, self._last + 1)
                if self._spare:
                    window += int(self._random() * SPARE_ROUNDS) * self._round
                while window % self._round not in self._turns:
                    window += 1
            self._last = window
            begin_ms = now if window == current else (window + self._random() / 2) * self._window_ms
        if begin_ms > now:
            self._sleep_ms(int(begin_ms - now) + 1)
