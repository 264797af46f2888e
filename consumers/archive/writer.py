"""One partition of the archive during one assignment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import pyarrow as pa
from prometheus_client import CollectorRegistry, Counter

from consumers.archive.index_keeper import IndexKeeper
from consumers.archive.minutes import MINUTE_MS, event_ms
from consumers.archive.runs import Runs
from consumers.archive.settings import ArchiveSettings
from consumers.columns import RecordColumns
from consumers.runtime.contracts import Record
from consumers.uploads import Upload, Within


class ArchiveMetrics:
    """What the archive sink counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("feed_sink_archive_records", "Records in stored objects", registry=registry)
        self.objects = Counter("feed_sink_archive_objects", "Objects stored", registry=registry)
        self.held = Counter(
            "feed_sink_archive_held", "Records skipped since the bucket held them already", registry=registry
        )
        self.failures = Counter(
            "feed_sink_archive_upload_failures", "Tries of an upload that failed and were repeated", registry=registry
        )
        self.index_failures = Counter(
            "feed_sink_archive_index_failures", "Hours left without an index: an object is no run", registry=registry
        )


@dataclass(slots=True)
class _Sending:
    """A run on its way."""

    records: pa.Table
    first: int
    nbytes: int
    """Of ``records``; Arrow counts them anew at each question, which is not cheap."""
    upload: Upload[int]
    seen_failures: int = 0


@dataclass(slots=True)
class _Minute:
    """An open minute: what waits, and the run on its way. A run is only sent when the one before it is stored."""

    opened_at_ms: int = 0
    waiting: RecordColumns = field(default_factory=RecordColumns)
    sending: _Sending | None = None

    @property
    def nbytes(self) -> int:
        return self.waiting.nbytes + (self.sending.nbytes if self.sending else 0)

    @property
    def lowest(self) -> int:
        return self.sending.first if self.sending else self.waiting.first


class ArchiveWriter:
    """Sorts a partition's records into minutes (a :class:`~consumers.runtime.contracts.PartitionWriter`).

    Args:
        runs: the partition's runs in the bucket.
        start: the first offset to expect.
        settings: times and sizes.
        metrics: the sink's.
        executor: runs the uploads.
        now_ms: the clock.
        relieve: called before records are taken: brings all writers together below their bound of memory.
        forget: called when the assignment is over.
        keeper: writes the indexes of hours.
    """

    def __init__(
        self,
        runs: Runs,
        start: int,
        *,
        settings: ArchiveSettings,
        metrics: ArchiveMetrics,
        executor: Executor,
        now_ms: Callable[[], int],
        relieve: Callable[[], None],
        forget: Callable[[ArchiveWriter], None],
        keeper: IndexKeeper,
    ) -> None:
        self._runs = runs
        self._next = start
        self._settings = settings
        self._metrics = metrics
        self._executor = executor
        self._now_ms = now_ms
        self._relieve = relieve
        self._forget = forget
        self._keeper = keeper
        self._seen_index_failures = 0
        self._minutes: dict[int, _Minute] = {}
        self._nbytes: int | None = None
        """Memory held, None when it has changed: all writers are asked at each :meth:`add` of any of them."""
        self._reached_ms = 0
        """The latest event time seen."""

    @property
    def nbytes(self) -> int:
        """Memory held, about."""
        if self._nbytes is None:
            self._nbytes = sum(minute.nbytes for minute in self._minutes.values())
        return self._nbytes

    def add(self, records: Sequence[Record]) -> None:
        """Take records; what the bucket holds already is skipped.

        Raises:
            RetryableError: S3 is away while memory is full, or while a minute is met for the first time; nothing of
                ``records`` was taken.
        """
        self._relieve()
        fresh = [(event_ms(record), record) for record in records if record.offset() >= self._next]
        if not fresh:
            return
        by_minute = [
            (number, [record for _, record in group])
            for number, group in groupby(fresh, key=lambda pair: pair[0] // MINUTE_MS)
        ]
        held = {number: self._runs.look_up(number) for number, _ in by_minute}
        for number, group in by_minute:
            self._take(number, held[number], group)
        self._reached_ms = max(self._reached_ms, *(at_ms for at_ms, _ in fresh))
        self._next = fresh[-1][1].offset() + 1
        self._send_due()

    def tick(self, now_ms: int) -> None:
        """Close the minutes whose time has come, and see what became of the runs on their way."""
        for number in list(self._minutes):
            self._settle(number)
        self._send_due(now_ms)
        self._keeper.tick(now_ms)
        self._metrics.index_failures.inc(self._keeper.failures - self._seen_index_failures)
        self._seen_index_failures = self._keeper.failures

    def flush(self, within_ms: int | None = None) -> None:
        """Store everything taken; returns when it is stored. All minutes are sent at once, then waited for.

        Raises:
            RetryableError: S3 is away, or did not answer within the bound.
        """
        within = Within(within_ms)
        for number in list(self._minutes):
            self._settle(number, wait=within)
        for number in list(self._minutes):
            self._send(number)
        for number in list(self._minutes):
            self._settle(number, wait=within)

    def durable(self) -> int:
        """The lowest offset that is not yet in a stored object."""
        return min((minute.lowest for minute in self._minutes.values()), default=self._next)

    def close(self) -> None:
        """Forget the assignment; a run on its way may still land, which the next owner finds."""
        self._forget(self)

    def compact(self) -> None:
        """Make what waits smaller without storing it."""
        self._nbytes = None
        for minute in self._minutes.values():
            minute.waiting.compact()

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Bytes held by each open minute, and the minute."""
        for number, minute in self._minutes.items():
            yield minute.nbytes, number

    def send(self, number: int) -> None:
        """Close a minute early: store what it holds, after the run that is on its way.

        Raises:
            RetryableError: that run cannot be stored now.
        """
        self._settle(number, wait=Within(None))
        self._send(number)

    def finish(self, number: int) -> None:
        """Wait for the minute's run that is on its way.

        Raises:
            RetryableError: it cannot be stored now.
        """
        self._settle(number, wait=Within(None))

    def _take(self, number: int, held: int, records: list[Record]) -> None:
        fresh = [record for record in records if record.offset() > held] if records[0].offset() <= held else records
        self._metrics.held.inc(len(records) - len(fresh))
        if not fresh:
            return
        self._nbytes = None
        minute = self._minutes.setdefault(number, _Minute())
        if not minute.waiting:
            minute.opened_at_ms = self._now_ms()
        minute.waiting.extend(fresh)

    def _send_due(self, now_ms: int | None = None) -> None:
        settings = self._settings
        for number, minute in list(self._minutes.items()):
            passed = self._reached_ms >= (number + 1) * MINUTE_MS + settings.grace_ms
            aged = now_ms is not None and now_ms - minute.opened_at_ms >= settings.open_ms
            if passed or aged or minute.waiting.nbytes >= settings.object_bytes:
                self._send(number)

    def _send(self, number: int) -> None:
        minute = self._minutes.get(number)
        if minute is None or minute.sending is not None or not minute.waiting:
            return
        self._nbytes = None
        waiting, minute.waiting = minute.waiting, RecordColumns()
        records = waiting.table()
        upload = Upload(self._executor, partial(self._runs.store, number, records))
        minute.sending = _Sending(records, waiting.first, waiting.nbytes, upload)
        self._settle(number)

    def _settle(self, number: int, *, wait: Within | None = None) -> None:
        """See what became of a minute's run; a minute with nothing left is closed, so it may be gone after any call."""
        minute = self._minutes.get(number)
        sending = minute.sending if minute is not None else None
        if minute is None or sending is None:
            return
        try:
            done = (sending.upload.wait(wait),) if wait else sending.upload.poll(self._now_ms())
        finally:
            self._metrics.failures.inc(sending.upload.failures - sending.seen_failures)
            sending.seen_failures = sending.upload.failures
        if done is None:
            return
        (through,) = done
        self._nbytes = None
        self._runs.held_through(number, through)
        self._keeper.stored(number, self._now_ms())
        self._metrics.objects.inc()
        self._metrics.records.inc(sending.records.num_rows)
        minute.sending = None
        if minute.waiting and through >= minute.waiting.first:  # a former owner's run reached further than ours
            minute.waiting.drop_through(through)
        if not minute.waiting:
            del self._minutes[number]
