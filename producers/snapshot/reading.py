"""Reads a table's segments: one page of each at a time, as the rate allows, errors with back-off."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from producers.snapshot.parts import Parts
from producers.snapshot.rate import ReadUnits
from producers.snapshot.scan import ScanPage
from schemas.errors import FeedError, RetryableError
from schemas.snapshot import Segment

RETRY_MIN_MS = 200
"""First pause after an error; doubles with each that follows it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """A page that waits to be published."""

    segment: int
    at_ms: int
    """When it was asked for: its rows are at least as new."""
    page: ScanPage


@dataclass(frozen=True, slots=True)
class _Answer:
    segment: int
    turn: int
    """Tells answers from before a rewind from those that count."""
    at_ms: int
    outcome: ScanPage | FeedError


@dataclass(slots=True)
class _Cursor:
    saved: Segment
    busy: bool = False
    """A page is on its way, or waits to be published."""
    due_ms: int = 0
    errors: int = 0


class Reading:
    """The segments of one snapshot. Everything but the jobs it gives to the pool happens on the run's thread."""

    def __init__(self, parts: Parts, units: ReadUnits, wake: Callable[[], None]) -> None:
        self._parts, self._units, self._wake = parts, units, wake
        self._cursors: list[_Cursor] = []
        self._turn = 0
        self._answers: deque[_Answer] = deque()
        self.pages: deque[Read] = deque()

    def begin(self, segments: Sequence[Segment]) -> None:
        """From what is saved; whatever is under way counts no more."""
        self._turn += 1
        self._cursors = [_Cursor(segment) for segment in segments]
        self.pages.clear()

    def rewind(self) -> None:
        """Back to what is saved."""
        self.begin(self.segments)

    @property
    def segments(self) -> list[Segment]:
        """How far each is published."""
        return [cursor.saved for cursor in self._cursors]

    def saved(self, number: int) -> Segment:
        """How far one is published."""
        return self._cursors[number].saved

    def published(self, segment: Segment) -> None:
        """A page of it was committed: the next may be read."""
        self._cursors[segment.number] = _Cursor(segment)

    def collect(self) -> None:
        """Take the answers in. Raises what is not to be tried again."""
        clock = self._parts.clock
        while self._answers:
            answer = self._answers.popleft()
            if answer.turn != self._turn:
                continue
            cursor, outcome = self._cursors[answer.segment], answer.outcome
            if isinstance(outcome, ScanPage):
                cursor.errors = 0
                self._units.use(outcome.units)
                self.pages.append(Read(answer.segment, answer.at_ms, outcome))
                continue
            if not isinstance(outcome, RetryableError):
                raise outcome
            cursor.errors += 1
            cursor.busy = False
            cursor.due_ms = clock.steady_ms() + pause_ms(cursor.errors, self._parts)
            if cursor.errors in (1, 10) or cursor.errors % 100 == 0:
                _log.warning("page not read segment=%d times=%d error=%s", answer.segment, cursor.errors, outcome)

    def ask(self, at_most_ms: int) -> int:
        """A page of each segment that is due, as the rate allows; milliseconds until the next may be asked for."""
        now, wait = self._parts.clock.steady_ms(), at_most_ms
        for cursor in self._cursors:
            if cursor.busy or cursor.saved.done:
                continue
            due_ms = max(cursor.due_ms, now + self._units.wait_ms())
            if due_ms > now:
                wait = min(wait, due_ms - now)
                continue
            cursor.busy = True
            self._parts.pool.submit(self._job(cursor.saved))
        return wait

    def _job(self, segment: Segment) -> Callable[[], None]:
        parts, turn, segments = self._parts, self._turn, len(self._cursors)

        def read() -> None:
            at_ms = parts.clock.now_ms()
            outcome: ScanPage | FeedError
            try:
                outcome = parts.table.page(segment.number, segments, segment.after, parts.settings.page_items)
            except FeedError as error:
                outcome = error
            self._answers.append(_Answer(segment.number, turn, at_ms, outcome))
            self._wake()

        return read


def pause_ms(failures: int, parts: Parts) -> int:
    """How long to wait after so many failures in a row."""
    ceiling = min(parts.settings.retry_max_ms, RETRY_MIN_MS << min(failures - 1, 10))
    return int(ceiling * (0.5 + parts.clock.random() / 2))
