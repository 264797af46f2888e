"""Batch sinks: a writer for each partition, driven on the loop's thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from consumers.runtime.backoff import Backoff
from consumers.runtime.contracts import BatchSink, Partition, PartitionWriter, PositionWriter, Record
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.handling import Decode
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.pressure import Load
from consumers.runtime.reaction import TimeOf
from consumers.runtime.settings import RuntimeSettings
from schemas.errors import FatalError, FeedError, PoisonError, RetryableError

TICK_MS = 250
"""How often a writer is asked to close what is due by time."""

PROBE_MS = 100
"""A partition's reaction time is taken from one record in so many ms: decoding all of them would double the work."""

MAX_PROBES = 1_024
"""Records kept for that until their effect is durable; past it none is added."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """One partition during one assignment."""

    writer: PartitionWriter
    position: int
    """Everything before it was handed out by the client (or was a marker)."""
    expected: int
    """One past the last record that the writer took."""
    again: list[Record] = field(default_factory=list)
    """Records that the writer refused for now; the partition pauses while there are any."""
    failed: RetryableError | None = None
    attempt: int = 0
    due_ms: int = 0
    """When the next try or tick is."""
    probes: deque[Record] = field(default_factory=deque)
    probed_ms: int = 0


class BatchFlow:
    """Everything between fetched records and committable offsets, for a sink that handles batches."""

    def __init__(
        self,
        sink: BatchSink,
        settings: RuntimeSettings,
        *,
        decode: Decode,
        time_of: TimeOf,
        dead_letters: DeadLetters,
        metrics: ConsumerMetrics,
        now_ms: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._sink = sink
        self._decode = decode
        self._time_of = time_of
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._now_ms = now_ms
        self._random = random
        self._backoff = Backoff(settings.retry_base_ms, settings.retry_cap_ms)
        self._opened: dict[int, _Open] = {}
        self._interrupted = False

    def open(self, partition: Partition, committed: int) -> int:
        """Open a writer; it says where to read from."""
        start, writer = self._sink.open(partition, committed)
        self._opened[partition.number] = _Open(writer, position=start, expected=start)
        return start

    def accept(self, partition: int, records: Sequence[Record]) -> None:
        """Give records to the writer; while it refuses, keep what the client had already handed out."""
        opened = self._opened[partition]
        opened.position = records[-1].offset() + 1
        if opened.again or opened.failed is not None:
            opened.again.extend(records)
            return
        self._give(partition, opened, records)

    def reached(self, partition: int, position: int) -> None:
        """The end of the partition: what lies before it and was not handed out holds no record."""
        opened = self._opened[partition]
        opened.position = max(opened.position, position)
        self._tell_position(opened)

    def work(self) -> int | None:
        """Try again what failed, tick the writers."""
        for partition, opened in self._opened.items():
            if self._interrupted:
                break
            if self._now_ms() < opened.due_ms:
                continue
            opened.due_ms = self._now_ms() + TICK_MS
            if opened.again:
                again, opened.again, opened.failed = opened.again, [], None
                self._give(partition, opened, again)
                self._tell_position(opened)  # the end of the partition may have been told meanwhile
            else:
                self._call(opened, self._tick(opened.writer))
            self._probe(opened)
        return min((opened.due_ms - self._now_ms() for opened in self._opened.values()), default=None)

    def committable(self, partition: int) -> int:
        """What the writer says is durable; behind its last record, also the markers that follow it."""
        opened = self._opened[partition]
        durable = opened.writer.durable()
        return opened.position if not opened.again and durable >= opened.expected else durable

    def load(self, partition: int) -> Load:
        """Writers bound their own buffers; only the records they refused for now are held here."""
        return Load(records=len(self._opened[partition].again))

    def blocked(self, partition: int) -> str | None:
        """While the writer fails, the partition pauses."""
        opened = self._opened[partition]
        return None if opened.failed is None else str(opened.failed)

    def trouble(self, partition: int) -> str:
        """The writer's last failure, while it lasts."""
        opened = self._opened[partition]
        return "" if opened.failed is None else f"try {opened.attempt}: {opened.failed}"

    def hangs(self) -> str:
        """It comes back when its sink does."""
        return ""

    def interrupt(self) -> None:
        """Tick no other writer."""
        self._interrupted = True

    def settle(self, partitions: Collection[int], budget_ms: int) -> None:
        """Flush each writer while the budget lasts; what is not durable then is read again by the next owner."""
        self._interrupted = False
        until_ms = self._now_ms() + budget_ms
        for partition in partitions:
            opened = self._opened[partition]
            left_ms = until_ms - self._now_ms()
            if left_ms <= 0:
                _log.warning("no time to flush sink=%s partition=%d", self._sink.name, partition)
                continue
            try:
                opened.writer.flush(left_ms)
            except RetryableError as error:
                _log.warning("flush given up sink=%s partition=%d error=%s", self._sink.name, partition, error)
            self._probe(opened)

    def forget(self, partitions: Collection[int]) -> None:
        """Close the writers; what is not durable is dropped."""
        self._interrupted = False
        for partition in partitions:
            opened = self._opened.pop(partition, None)
            if opened is not None:
                opened.writer.close()

    def close(self) -> None:
        """Nothing runs by itself."""

    def _give(self, partition: int, opened: _Open, records: Sequence[Record]) -> None:
        try:
            if not self._call(opened, lambda: opened.writer.add(records)):
                opened.again = list(records)
                return
        except PoisonError:
            self._give_one_by_one(partition, opened, records)
            return
        self._taken(partition, opened, records)

    def _give_one_by_one(self, partition: int, opened: _Open, records: Sequence[Record]) -> None:
        """Find the poison: the writer passes over what it took in the failed call."""
        for at in range(len(records)):
            if not self._give_one(partition, opened, records[at : at + 1]):
                opened.again = list(records[at:])
                return

    def _give_one(self, partition: int, opened: _Open, one: Sequence[Record]) -> bool:
        attempt = opened.attempt + 1
        try:
            taken = self._call(opened, lambda: opened.writer.add(one))
        except PoisonError as error:
            poison = error
        else:
            if taken:
                self._taken(partition, opened, one)
            return taken
        return self._call(opened, lambda: self._dead_letters.keep(one[0], poison, attempt))

    def _taken(self, partition: int, opened: _Open, records: Sequence[Record]) -> None:
        opened.expected = records[-1].offset() + 1
        self._metrics.handled(partition, len(records))
        self._dead_letters.seen(len(records))
        now_ms = self._now_ms()
        if now_ms - opened.probed_ms >= PROBE_MS and len(opened.probes) < MAX_PROBES:
            opened.probed_ms = now_ms
            opened.probes.append(records[0])  # the one that waited longest
        self._probe(opened)

    def _tell_position(self, opened: _Open) -> None:
        if isinstance(opened.writer, PositionWriter) and not opened.again:
            opened.writer.reached(opened.position)

    def _call(self, opened: _Open, act: Callable[[], None]) -> bool:
        """True when it worked. Retryable: back off. An error that is none of ours: fatal."""
        try:
            act()
        except RetryableError as error:
            opened.attempt += 1
            opened.failed = error
            opened.due_ms = self._now_ms() + self._backoff.delay_ms(opened.attempt, self._random)
            self._metrics.retry(error)
            return False
        except FeedError:
            raise
        except Exception as error:
            raise FatalError(
                f"sink {self._sink.name} raised an unexpected error: {error!r}",
                hint="a fault in the sink: it must tell RetryableError (may work later) from PoisonError (never will)",
            ) from error
        opened.failed, opened.attempt = None, 0
        return True

    def _tick(self, writer: PartitionWriter) -> Callable[[], None]:
        return lambda: writer.tick(self._now_ms())

    def _probe(self, opened: _Open) -> None:
        """Take the reaction time of what has become durable."""
        if not opened.probes:
            return
        durable = opened.writer.durable()
        while opened.probes and opened.probes[0].offset() < durable:
            value = opened.probes.popleft().value()
            try:
                at_ms = self._time_of(self._decode(value)) if value else None
            except FeedError:
                continue  # a sink of raw bytes keeps what cannot be decoded, too
            if at_ms is not None:
                self._metrics.reaction.observe(self._now_ms() - at_ms)
