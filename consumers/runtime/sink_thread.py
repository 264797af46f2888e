"""One thread that makes all calls to a sink, so that a call that hangs does not hold the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")

JOIN_BOUND_S = 0.2
"""How long the end waits for a thread that has nothing left to do; one that hangs dies with the process."""


class Calls(Protocol):
    """Makes calls one after the other, in the order in which they are asked for. A simulation has one of its own."""

    def ask(self, act: Callable[[], T]) -> Future[T]:
        """Call it once everything asked for before has ended."""
        ...

    def wait(self, asked: Future[T], within_s: float) -> bool:
        """Wait for the end of a call; False when it has not ended within the bound."""
        ...

    def monotonic(self) -> float:
        """The clock of the waits, seconds."""
        ...

    def close(self) -> None:
        """Nothing more is asked for; what is under way may go on."""
        ...


class SinkThread:
    """The thread of a real consumer (:class:`Calls`). It starts with the first call, and no process waits for it."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # bounded: the loop asks one turn at a time
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    def ask(self, act: Callable[[], T]) -> Future[T]:
        """See :class:`Calls`, as for all that follow."""
        asked: Future[T] = Future()
        if self._thread.ident is None:
            self._thread.start()
        self._work.put(lambda: call(act, asked))
        return asked

    def wait(self, asked: Future[T], within_s: float) -> bool:
        """False when it has not ended within the bound."""
        try:
            asked.exception(max(0.0, within_s))  # the cheapest way to wait: no result is raised here
        except TimeoutError:
            return False
        return True

    def monotonic(self) -> float:
        """The process's clock, seconds."""
        return time.monotonic()

    def close(self) -> None:
        """The thread ends behind its last call."""
        self._work.put(None)
        if self._thread.ident is not None:
            self._thread.join(JOIN_BOUND_S)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def call(act: Callable[[], T], asked: Future[T]) -> None:
    """Make a call; whoever asked gets what it returned or raised."""
    try:
        asked.set_result(act())
    except BaseException as error:  # noqa: BLE001 (whoever waits raises it)
        asked.set_exception(error)
