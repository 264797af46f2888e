"""Work that goes on while records arrive: one upload at a time for each chain or bucket, tried until it is done."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, Generic, ParamSpec, TypeVar

from schemas.errors import RetryableError

T = TypeVar("T")
P = ParamSpec("P")

FIRST_BACKOFF_MS: Final = 200
MAX_BACKOFF_MS: Final = 30_000
"""Waits between tries double from the first to this, with full jitter; the store's client has tried several times
before."""

WAIT_TRIES: Final = 4
"""Tries that :meth:`Upload.wait` makes before it gives the error to its caller."""


class Within:
    """How much is left of a bound that several waits share.

    Args:
        bound_ms: the bound; None: each wait takes as long as it takes (the store's client has time-outs).
        monotonic: the clock, seconds.
    """

    def __init__(self, bound_ms: int | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until_s = None if bound_ms is None else monotonic() + bound_ms / 1000

    @property
    def left_s(self) -> float | None:
        """Seconds left, never below zero; None without a bound."""
        return None if self._until_s is None else max(0.0, self._until_s - self._monotonic())

    def of(self, future: Future[T]) -> T:
        """The result of what runs elsewhere.

        Raises:
            RetryableError: it did not come within the bound; it may come later.
        """
        try:
            return future.result(self.left_s)
        except FutureTimeoutError as error:
            if future.done():  # the work's own time-out, not ours
                raise
            raise RetryableError(
                "the store did not answer within the bound", hint="is it up and reachable? it is tried again"
            ) from error

    def sleep(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Sleep, but not past the bound."""
        left_s = self.left_s
        sleep(seconds if left_s is None else min(seconds, left_s))


class UploadThreads(Executor):
    """Threads that a process does not wait for when it ends.

    The standard library's pool keeps a process alive until its last work is done: with a store that hangs, a member
    that has left its group in order would be killed by its supervisor after all.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._most = threads
        self._name = name
        self._started = 0
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # bounded: one piece a chain or minute

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it in one of the threads."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (whoever asks for the result gets it)
                future.set_exception(error)

        with self._lock:
            if self._started < self._most:
                threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()
                self._started += 1
        self._work.put(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 (the base's)
        """Nothing is kept alive by these threads."""

    def _run(self) -> None:
        while True:
            self._work.get()()


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

    def wait(self, within: Within | None = None) -> T:
        """Block until the work is done, or the bound is reached.

        Raises:
            RetryableError: it failed :data:`WAIT_TRIES` times, or did not end within the bound; the next call tries
                again, or waits for the try that is still under way.
            FatalError: it can never succeed.
        """
        within = within or Within(None)
        for tries_left in reversed(range(WAIT_TRIES)):
            future = self._future or self._executor.submit(self._work)
            self._future = future
            try:
                return within.of(future)
            except RetryableError:
                if not future.done():  # the bound, not the work: the try goes on
                    raise
                backoff_ms = self._failed()
                if not tries_left or within.left_s == 0:
                    raise
                within.sleep(backoff_ms / 1000, self._sleep)
        raise AssertionError("unreachable: the last try returns or raises")

    def _failed(self) -> int:
        self._future = None
        self.failures += 1
        ceiling_ms = min(FIRST_BACKOFF_MS * 2 ** min(self.failures - 1, 16), MAX_BACKOFF_MS)
        return int(ceiling_ms * self._jitter())
