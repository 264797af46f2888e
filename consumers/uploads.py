"""Work that goes on while records arrive: one upload at a time for each chain or bucket, tried until it is done."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Final, Generic, TypeVar

from schemas.errors import RetryableError

T = TypeVar("T")

FIRST_BACKOFF_MS: Final = 200
MAX_BACKOFF_MS: Final = 30_000
"""Waits between tries double from the first to this, with full jitter; the store's client has tried several times
before."""

WAIT_TRIES: Final = 4
"""Tries that :meth:`Upload.wait` makes before it gives the error to its caller."""


class Upload(Generic[T]):
    """A piece of work in another thread that is tried again, with back-off and for ever, while its error is retryable.

    All methods are called from the writer's one thread.

    Args:
        executor: runs the work; its size bounds how much runs at once.
        work: must be idempotent: after a lost answer it runs again.
        sleep: waits between the tries of :meth:`wait`, seconds.
        jitter: a number from 0 to 1 for each wait.
    """

    def __init__(
        self,
        executor: Executor,
        work: Callable[[], T],
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._executor = executor
        self._work = work
        self._sleep = sleep
        self._jitter = jitter
        self._future: Future[T] | None = executor.submit(work)
        self._again_at_ms = 0
        self.failures = 0
        """Tries that ended with a retryable error."""

    def poll(self, now_ms: int) -> tuple[T] | None:
        """The result in a tuple when it is there, None while it is not; starts the next try when it is due.

        Raises:
            FatalError: the work can never succeed.
        """
        if self._future is None:
            if now_ms >= self._again_at_ms:
                self._future = self._executor.submit(self._work)
            return None
        if not self._future.done():
            return None
        try:
            return (self._future.result(),)
        except RetryableError:
            self._again_at_ms = now_ms + self._failed()
            return None

    def wait(self) -> T:
        """Block until the work is done.

        Raises:
            RetryableError: it failed :data:`WAIT_TRIES` times; the next call tries again.
            FatalError: it can never succeed.
        """
        for tries_left in reversed(range(WAIT_TRIES)):
            future = self._future or self._executor.submit(self._work)
            self._future = future
            try:
                return future.result()  # bounded: the store's client has time-outs and a number of tries
            except RetryableError:
                backoff_ms = self._failed()
                if not tries_left:
                    raise
                self._sleep(backoff_ms / 1000)
        raise AssertionError("unreachable: the last try returns or raises")

    def _failed(self) -> int:
        self._future = None
        self.failures += 1
        ceiling_ms = min(FIRST_BACKOFF_MS * 2 ** min(self.failures - 1, 16), MAX_BACKOFF_MS)
        return int(ceiling_ms * self._jitter())
