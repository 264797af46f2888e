"""One record, one try: from its bytes to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumers.runtime.contracts import (
    ForesightedSink,
    NotYetError,
    Record,
    RecordSink,
    SelectiveSink,
    SnapshotSink,
)
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.reaction import TimeOf
from schemas.change import Change
from schemas.errors import FatalError, FeedError, PoisonError, RetryableError
from schemas.marker import SnapshotMarker, marker_of

Decode = Callable[[bytes], Change]
"""From a record's value to the change; PoisonError when that is impossible."""

TOMBSTONE = "tombstone"
"""Reason for passing over a record without a value: it carries no change, hence no version and no effect."""

SNAPSHOT_COMPLETE = "snapshot-complete"
"""Reason for passing over the marker of a complete snapshot, with a sink that does nothing about it."""


@dataclass(frozen=True, slots=True)
class Done:
    """The record needs nothing more. ``took_ms`` is from the write to now, where the change tells its time."""

    handled: bool
    took_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It may work later."""

    error: RetryableError


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A piece of it is done, and the next one is to follow."""


@dataclass(frozen=True, slots=True)
class Early:
    """It is to be tried at ``due_ms``; nothing failed."""

    due_ms: int


Outcome = Done | Failed | Unfinished | Early


def nothing_waits() -> Sequence[Record]:
    """What waits behind a record that is handled at once."""
    return ()


class Handling:
    """Tries records with a sink. Safe to call from several threads, as the sink is with more than one in flight."""

    def __init__(
        self,
        sink: RecordSink,
        *,
        decode: Decode,
        time_of: TimeOf,
        dead_letters: DeadLetters,
        passed_over: Callable[[str], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._sink = sink
        self._dead_letters = dead_letters
        self._passed_over = passed_over
        self._select = sink.passes_over if isinstance(sink, SelectiveSink) else None
        self._foresee = sink.handle_before if isinstance(sink, ForesightedSink) else None
        self._complete = sink.snapshot_complete if isinstance(sink, SnapshotSink) else None
        self.decode = decode
        self.time_of = time_of
        self.now_ms = now_ms
        self.handle = sink.handle
        self.plain = self._select is None and self._foresee is None
        """True when every record with a value is to be handled, so that a loop may do it without asking here."""

    def barrier(self, record: Record) -> bool:
        """Whether everything before the record must have its effect first."""
        return self._complete is not None and marker_of(record.key(), record.value(), record.headers()) is not None

    def attempt(self, record: Record, attempt: int, later: Callable[[], Sequence[Record]] = nothing_waits) -> Outcome:
        """Make the record's effect durable, or keep it as a dead letter. ``later`` tells what waits behind it.

        Raises:
            FatalError: the consumer must stop.
        """
        try:
            return self._effect(record, later)
        except NotYetError as early:
            return Early(early.due_ms)
        except PoisonError as error:
            return self._keep(record, error, attempt)
        except RetryableError as error:
            return Failed(error)
        except FatalError:
            raise
        except Exception as error:
            raise self.unexpected(record, error) from error

    def refuse(self, record: Record, error: Exception, attempt: int) -> Outcome:
        """What an error that ``handle`` raised means for the record.

        Raises:
            FatalError: the consumer must stop.
        """
        match error:
            case NotYetError():
                return Early(error.due_ms)
            case PoisonError():
                return self._keep(record, error, attempt)
            case RetryableError():
                return Failed(error)
            case FatalError():
                raise error
            case _:
                raise self.unexpected(record, error) from error

    def unexpected(self, record: Record, error: Exception) -> FatalError:
        """An error that is none of ours is a fault of the program: stop before it eats a topic."""
        what = "an error without a verdict" if isinstance(error, FeedError) else "an unexpected error"
        return FatalError(
            f"sink {self._sink.name} raised {what} "
            f"at {record.topic()}[{record.partition()}]@{record.offset()}: {error!r}",
            hint="a fault in the sink: it must tell RetryableError (a later try may work) from PoisonError (none will)",
        )

    def _effect(self, record: Record, later: Callable[[], Sequence[Record]]) -> Done | Unfinished:
        value = record.value()
        if value is None and (marker := marker_of(record.key(), None, record.headers())) is not None:
            return self._marked(marker)
        reason = self._reason(record)
        if reason is not None or not value:
            self._passed_over(reason or TOMBSTONE)
            return Done(handled=False)
        change = self.decode(value)
        if self._foresee is None:
            self.handle(change)
        else:
            self._foresee(change, lambda: self._changes(later()))
        at_ms = self.time_of(change)
        return Done(handled=True, took_ms=None if at_ms is None else self.now_ms() - at_ms)

    def _reason(self, record: Record) -> str | None:
        """Why a record is passed over; None when it is to be handled."""
        if not record.value():
            return TOMBSTONE
        return None if self._select is None else self._select(record)

    def _changes(self, records: Sequence[Record]) -> list[Change]:
        changes: list[Change] = []
        for record in records:
            value = record.value()
            if not value or self._reason(record) is not None:
                continue
            try:
                changes.append(self.decode(value))
            except PoisonError:
                continue  # judged in its turn
        return changes

    def _marked(self, marker: SnapshotMarker) -> Done | Unfinished:
        if self._complete is None:
            self._passed_over(SNAPSHOT_COMPLETE)
            return Done(handled=False)
        try:
            done = self._complete(marker)
        except PoisonError as error:  # a marker is no letter: what it asks for must not be left undone
            raise FatalError(f"the end of snapshot {marker.epoch} is refused: {error}", hint=error.hint) from error
        return Done(handled=True) if done else Unfinished()

    def _keep(self, record: Record, error: PoisonError, attempt: int) -> Done | Failed:
        try:
            self._dead_letters.keep(record, error, attempt)
        except RetryableError as away:
            return Failed(away)
        return Done(handled=False)
