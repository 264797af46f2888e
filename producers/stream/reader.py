"""Reads one shard: one request at a time, by the rules for iterators, at the pace that the shard sets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from connectors.dynamodb_streams import (
    IteratorExpiredError,
    Pace,
    Page,
    PollPolicy,
    ShardRefusedError,
    ShardTrimmedError,
    after_error,
    after_page,
    first_iterator,
)
from producers.stream.ports import Clock, Stream
from producers.stream.translate import occurred_at_ms_of, sequence_of
from schemas.errors import FeedError, RetryableError
from schemas.position import TRIMMED, Position

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read brought; ``turn`` tells answers from before a rewind from those that count."""

    shard: str
    turn: int
    at_ms: int
    page: Page | None
    error: FeedError | None
    from_horizon: bool
    """Whether the read began at the trim horizon."""


class ShardReader:
    """State of reading one shard; everything but :meth:`job` happens on the slot's thread."""

    def __init__(self, position: Position, stream: Stream, policy: PollPolicy, clock: Clock) -> None:
        self.shard = position.shard
        self.saved = position
        self.epoch = position.epoch
        """Lowest epoch to publish under: that of its ancestors, whose slots may have been faster to raise it."""
        self.due_ms = 0
        """When to ask next, by the steady clock."""
        self.busy = False
        self.ended = False
        """The shard's end was read; what is left is to publish it."""
        self.closed = False
        """The listing shows an end."""
        self.refused_since_ms: int | None = None
        self.trims = 0
        """Answers in a row that said the data is trimmed."""
        self.suspicion = ""
        """The reason of a gap that waits for what the trim horizon still has: that decides whether it is certain."""
        self.answered_ms = clock.steady_ms()
        """Time of the last answer that was no error, by the steady clock."""
        self.failing_since_ms: int | None = None
        """Time of the first of the errors that came in a row, by the steady clock."""
        self.idle_since_ms: int | None = None
        """Time of the first of the empty pages that came in a row, by the steady clock."""
        self.asked_ms = 0
        self.newest_ms: int | None = None
        """Creation time of the last record read; None at the tip."""
        self.pace = Pace()
        self._stream, self._policy, self._clock = stream, policy, clock
        self._turn = 0
        self._read: int | None = None
        self._token: str | None = None

    def rewind(self, position: Position) -> None:
        """Forget what was read since ``position`` was saved; an answer under way will not count."""
        self._turn += 1
        self.saved, self._read, self._token = position, None, None
        self.busy, self.ended, self.trims, self.suspicion = False, False, 0, ""
        self.due_ms, self.idle_since_ms = self._clock.steady_ms(), None

    def look_at_the_rest(self, reason: str) -> None:
        """Read on at the trim horizon; what comes first decides about the gap that ``reason`` names."""
        self.rewind(self.saved)
        self.suspicion = reason

    def stuck(self, now: int, bound_ms: int) -> bool:
        """Whether only errors, or nothing at all, came for so long."""
        failing = self.failing_since_ms is not None and now - self.failing_since_ms > bound_ms
        return failing or (self.busy and now - self.asked_ms > bound_ms)

    @property
    def _is_trimmed(self) -> bool:
        """Whether what follows the position is known to be trimmed."""
        return self.saved.start == TRIMMED or bool(self.suspicion)

    def job(self, deliver: Callable[[Answer], None]) -> Callable[[], None]:
        """The next read, to be run on any thread; marks the reader busy until its answer is taken."""
        self.busy, self.asked_ms = True, self._clock.steady_ms()
        turn, token, stream, shard = self._turn, self._token, self._stream, self.shard
        spec = first_iterator(self._read, self.saved.sequence, trimmed=self._is_trimmed)
        arn, limit, clock = self.saved.stream, self._policy.page_max_records, self._clock
        from_horizon = token is None and spec.kind == "TRIM_HORIZON"

        def read() -> None:
            page, error = None, None
            try:
                page = stream.records(token or stream.iterator(arn, shard, spec), limit)
            except FeedError as caught:
                error = caught
            except Exception as caught:  # noqa: BLE001 (an answer must come, or the shard would stall unseen)
                error = RetryableError(f"reading {shard} failed: {caught!r}", hint="report this with its log line")
            deliver(Answer(shard, turn, clock.now_ms(), page, error, from_horizon))

        return read

    def take(self, answer: Answer) -> Page | None:
        """Take an answer in; the page, if it is one and counts."""
        if answer.turn != self._turn:
            return None
        self.busy = False
        now = self._clock.steady_ms()
        if answer.page is None:
            self._failed(answer, now)
            return None
        page = answer.page
        if self.failing_since_ms is not None:
            _log.info("reads work again shard=%s after_ms=%d", self.shard, now - self.failing_since_ms)
        self.answered_ms, self.failing_since_ms, self.refused_since_ms, self.trims = now, None, None, 0
        self._token, self.ended = page.next_token, page.next_token is None
        newest_ms = 0
        if not page.records and self.idle_since_ms is None:
            self.idle_since_ms = now
        if page.records:
            self.idle_since_ms = None
            self._read = sequence_of(page.records[-1])
            newest_ms = occurred_at_ms_of(page.records[-1])
        self.pace = after_page(
            self._policy,
            self.pace,
            records=len(page.records),
            newest_ms=newest_ms,
            now_ms=answer.at_ms,
            closed=self.closed,
        )
        # at the tip when it need not be asked again at once
        self.newest_ms = newest_ms if page.records and self.pace.delay_ms == 0 else None
        self.due_ms = now + self.pace.delay_ms
        return page

    def _failed(self, answer: Answer, now: int) -> None:
        error = answer.error
        if self.failing_since_ms is None:
            self.failing_since_ms = now
            _log.warning("reads fail shard=%s after=%s error=%s", self.shard, self._read or self.saved.sequence, error)
        if isinstance(error, IteratorExpiredError):
            self._token, self.due_ms = None, now
            self.pace = Pace(self.pace.empties, self.pace.errors + 1)
            if self.pace.errors < 3:
                return
        if isinstance(error, ShardTrimmedError):
            self._token, self.trims = None, self.trims + 1
        if isinstance(error, ShardRefusedError):
            self._token = None
            if self.refused_since_ms is None:
                self.refused_since_ms = answer.at_ms
        else:
            self.refused_since_ms = None
        self.pace = after_error(self._policy, self.pace, self._clock.random)
        self.due_ms = now + self.pace.delay_ms
