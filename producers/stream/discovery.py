"""Finds the table's stream and its shards: completely every minute, the children of an ended shard at once.

Only a worker that has slots lists shards: who has none needs none, and DescribeStream may be called ten times a second
in all. It lists as soon as it is given one; what it reads until then it knows from the positions.
"""

from __future__ import annotations

import logging

from producers.stream.ports import Clock, Stream
from producers.stream.settings import ProducerSettings
from producers.stream.view import View
from schemas.errors import FeedError, RetryableError

CALL_PAUSE_MS = 250
"""Between two follow-ups: DescribeStream allows 10 calls a second for all workers and pages together."""

CHILD_RETRIES = 5
"""Follow-ups of one ended shard before only the complete listing looks for its children."""

_log = logging.getLogger(__name__)


class Discovery:
    """Driven by :meth:`step`, on one thread."""

    def __init__(self, table: str, stream: Stream, view: View, settings: ProducerSettings, clock: Clock) -> None:
        self._table, self._stream, self._view, self._settings, self._clock = table, stream, view, settings, clock
        self._due_ms = 0
        self._errors = 0
        self._wanted: dict[tuple[str, str], tuple[int, int]] = {}
        self._owned = False
        self.completed_ms: int | None = None
        """Time of the last complete listing, by the steady clock; of a worker without slots: when it found its stream.
        """
        self.last_error: FeedError | None = None

    def step(self) -> int:
        """Do what is due; milliseconds until the next thing is. Raises FatalError for a table that cannot work."""
        now = self._clock.steady_ms()
        if (owned := bool(self._view.owned)) != self._owned:
            self._owned, self._due_ms = owned, now if owned else self._due_ms
        for ended in self._view.take_ended():
            self._wanted.setdefault(ended, (0, now))
        if not owned:
            self._wanted.clear()  # whoever has their slots reads their last records again, and follows them up
        try:
            if now >= self._due_ms:
                self._list()
            elif self._wanted:
                self._follow_up(now)
        except RetryableError as error:
            self._failed(error)
        now = self._clock.steady_ms()
        due = [at_ms for _, at_ms in self._wanted.values()]
        return max(0, min([self._due_ms, *due]) - now)

    def _list(self) -> None:
        settings, view = self._settings, self._view
        status = self._stream.status(self._table)
        if view.status is None or view.status != status:
            _log.info("stream found table=%s arn=%s enabled=%s", self._table, status.arn, status.enabled)
        view.saw_status(status)
        complete = True
        for arn in self._streams(status.arn) if self._owned else ():
            listing = self._stream.list_shards(arn)
            complete = complete and listing.complete
            view.observe(listing)
        self._errors, self.last_error = 0, None
        jitter = 0.9 + 0.2 * self._clock.random()
        pause = settings.discovery_interval_ms if complete else min(5_000, settings.discovery_interval_ms)
        self._due_ms = self._clock.steady_ms() + int(pause * jitter)
        if complete:
            self.completed_ms = self._clock.steady_ms()

    def _streams(self, current: str) -> list[str]:
        """The table's stream, and those before it that are not read to their end."""
        unread = {p.stream for p in self._view.positions().values() if not p.state.terminal}
        baseline = self._view.baseline
        if baseline is not None:
            unread |= {baseline.stream} | ({baseline.after} - {""})
        return [current, *sorted(unread - {current})]

    def _follow_up(self, now: int) -> None:
        """Children appear with, or shortly after, the end of their parent: ask a few times, ever more rarely."""
        for (arn, shard), (tries, due_ms) in list(self._wanted.items()):
            if due_ms > now:
                continue
            found = self._stream.children(arn, shard)
            if found.shards:
                self._view.observe(found)
                del self._wanted[arn, shard]
            elif tries + 1 >= CHILD_RETRIES:
                # some servers ignore the filter, and a disabled stream has no more children
                del self._wanted[arn, shard]
                self._due_ms = now
            else:
                self._wanted[arn, shard] = (tries + 1, now + (CALL_PAUSE_MS << tries))
            return

    def _failed(self, error: RetryableError) -> None:
        self._errors += 1
        self.last_error = error
        ceiling = min(self._settings.discovery_interval_ms, 500 << min(self._errors - 1, 10))
        self._due_ms = self._clock.steady_ms() + int(ceiling * (0.5 + self._clock.random() / 2))
        # a follow-up must not run in a tight loop while the service refuses
        self._wanted = {ended: (tries, max(at, self._due_ms)) for ended, (tries, at) in self._wanted.items()}
        if self._errors in (1, 10) or self._errors % 100 == 0:
            _log.warning("discovery failed table=%s times=%d error=%s", self._table, self._errors, error)
