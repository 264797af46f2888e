"""Calls to a sink in virtual time: none takes any, until it is told that one hangs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from consumers.runtime.sink_thread import call

T = TypeVar("T")


class VirtualClock:
    """Milliseconds that pass when somebody waits."""

    def __init__(self, now_ms: int = 1_000) -> None:
        self.now_ms = now_ms


class VirtualCalls:
    """A :class:`~consumers.runtime.sink_thread.Calls` without a thread.

    Args:
        clock: what ``now_ms`` is read from, and what waiting moves.
        hang_ms: asked at each call: how long it hangs before it takes effect.
    """

    def __init__(self, clock: Any, hang_ms: Callable[[], int] = lambda: 0) -> None:
        self.clock = clock
        self.hang_ms = hang_ms
        self.closed = False
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()  # (ready at, call)

    def ask(self, act: Callable[[], T]) -> Future[T]:
        asked: Future[T] = Future()
        began_ms = self._waiting[-1][0] if self._waiting else self.clock.now_ms
        self._waiting.append((max(began_ms, self.clock.now_ms) + self.hang_ms(), lambda: call(act, asked)))
        self.serve()
        return asked

    def wait(self, asked: Future[T], within_s: float) -> bool:
        until_ms = self.clock.now_ms + max(0, round(within_s * 1000))
        while not asked.done() and self._waiting and self._waiting[0][0] <= until_ms:
            self.clock.now_ms = max(self.clock.now_ms, self._waiting[0][0])
            self.serve()
        if not asked.done():
            self.clock.now_ms = until_ms
        return asked.done()

    def monotonic(self) -> float:
        return float(self.clock.now_ms) / 1000

    def close(self) -> None:
        self.closed = True

    def serve(self) -> None:
        """Make the calls whose time has come."""
        while self._waiting and self._waiting[0][0] <= self.clock.now_ms:
            self._waiting.popleft()[1]()
