"""Orders' lives into a topic at a rate that holds on a busy machine: what is late is caught up with."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Final

from schemas.change import Change
from tests.faults.consumers.orders_topic import STATUSES, OrdersTopic
from tests.unit.order_changes import life

AT_ONCE: Final = 60
"""Orders whose lives are interleaved."""

STEP_S: Final = 0.02
STOP_BOUND_S: Final = 30.0


class PacedOrders:
    """Writes until it is told to stop. A context manager."""

    def __init__(self, topic: OrdersTopic, rate_per_s: float) -> None:
        self._topic = topic
        self._rate_per_s = rate_per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_BOUND_S)

    def _run(self) -> None:
        changes, began, done = self._changes(), time.monotonic(), 0
        while not self._stop.wait(STEP_S):
            due = int((time.monotonic() - began) * self._rate_per_s)
            for change in itertools.islice(changes, due - done):
                self._topic.put(change)
            done = due

    @staticmethod
    def _changes() -> Iterator[Change]:
        lives: list[Iterator[Change]] = []
        serials = itertools.count()
        for number in itertools.count():
            while len(lives) < AT_ONCE:
                serial = next(serials)
                lives.append(iter(life(*STATUSES, order_id=f"o-{serial}", base=1_000 * serial)))
            current = lives[number * 7 % len(lives)]
            change = next(current, None)
            if change is None:
                lives.remove(current)
            else:
                yield change
