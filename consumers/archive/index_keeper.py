"""When the indexes of hours are due: driven by each partition's writer, beside its uploads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from connectors.s3 import ObjectStore
from consumers.archive.indexing import ensure_index
from consumers.archive.minutes import HOUR_MS
from consumers.runtime.contracts import Partition
from consumers.uploads import Upload
from schemas.errors import FatalError

_log = logging.getLogger(__name__)

QUIET_MS: Final = 60_000
"""An hour's index is made when nothing was stored in it for so long: a backlog stores minute after minute."""

LOOK_BACK_HOURS: Final = 3
"""Hours before the present one that a new owner looks at: who had the partition before may have left them without."""


class IndexKeeper:
    """Keeps the indexes of one partition while it is assigned; all calls on the writer's thread.

    Args:
        store: the archive's bucket.
        prefix: first part of the objects' names.
        partition: whose hours.
        executor: does the work.
        after_ms: how long after an hour's end its index is written.
        now_ms: the clock.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        partition: Partition,
        *,
        executor: Executor,
        after_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._partition = partition
        self._executor = executor
        self._after_ms = after_ms
        now_hour = now_ms() // HOUR_MS
        self._stored_ms = dict.fromkeys(range(now_hour - LOOK_BACK_HOURS, now_hour), now_ms())
        """Hours in which something may be that no index knows, and when something was last stored there."""
        self._upload: Upload[str | None] | None = None
        self.failures = 0
        """Hours that cannot be indexed: something in them is no run. Searches look into their objects one by one."""

    def stored(self, minute: int, now_ms: int) -> None:
        """A run of this minute (minutes since the epoch) was stored."""
        self._stored_ms[minute // 60] = now_ms

    def tick(self, now_ms: int) -> None:
        """Write the next index when one is due; one at a time."""
        if self._upload is not None:
            try:
                if self._upload.poll(now_ms) is None:
                    return
            except FatalError as error:  # an index is a cache: what is archived does not wait for it
                self.failures += 1
                _log.warning("an hour has no index partition=%d error=%s", self._partition.number, error)
            self._upload = None
        due = [hour for hour, at_ms in self._stored_ms.items() if self._is_due(hour, at_ms, now_ms)]
        if due:
            hour = min(due)
            del self._stored_ms[hour]
            work = (self._store, self._prefix, self._partition, hour)
            self._upload = Upload(self._executor, lambda: ensure_index(*work))

    def _is_due(self, hour: int, stored_ms: int, now_ms: int) -> bool:
        return now_ms >= (hour + 1) * HOUR_MS + self._after_ms and now_ms - stored_ms >= QUIET_MS
