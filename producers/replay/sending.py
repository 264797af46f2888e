"""Sends rows in order, transaction by transaction, no faster than allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import pyarrow as pa

from producers.replay.plan import records_of
from schemas.headers import REPLAY
from schemas.replay import ORDINAL, ReplayMarker

PACE_S: Final = 0.05
"""The shortest wait that is waited: the rate holds over a few transactions, not between two records."""


class Writer(Protocol):
    """Writes into the topic, in transactions."""

    def begin(self) -> None:
        """Open a transaction."""
        ...

    def send(
        self, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Add a record to it."""
        ...

    def commit(self) -> None:
        """Make what it holds seen, all at once."""
        ...


def _nothing(_point: str) -> None:
    """No test watches."""


@dataclass(slots=True)
class Sending:
    """A replay being sent. What is committed tells a later process where to go on (:mod:`producers.replay.state`).

    Args:
        writer: the topic's one writer.
        replay: the replay's id.
        counts: changes sent to each partition before.
        batch_records: changes of a transaction.
        rate_per_s: changes a second at most.
        clock_s: a clock that only goes forward, seconds.
        sleep: waits, seconds.
        progress: told how many changes are sent in all, after each commit.
        at: told each named point that it comes by (tests die there).
    """

    writer: Writer
    replay: str
    counts: list[int]
    batch_records: int
    rate_per_s: int
    clock_s: Callable[[], float]
    sleep: Callable[[float], None]
    progress: Callable[[int], None]
    at: Callable[[str], None] = _nothing
    _started_s: float = field(init=False)
    _sent: int = field(init=False, default=0)

    def begin(self, markers: Sequence[ReplayMarker]) -> None:
        """Write the begin marker of each partition, all in one transaction."""
        self._mark(markers)
        self.at("after-begin")

    def send(self, rows: Iterable[pa.Table]) -> None:
        """Send every row of ``rows``, which are in order."""
        self._started_s = self.clock_s()
        open_records = 0
        name = (REPLAY, self.replay.encode())
        for table in rows:
            for partition, key, value, headers in records_of(table):
                if not open_records:
                    self.writer.begin()
                ordinal = (ORDINAL, b"%d" % self.counts[partition])
                self.writer.send(partition, key, value, [*headers, name, ordinal])
                self.counts[partition] += 1
                open_records += 1
                if open_records == self.batch_records:
                    self._commit(open_records)
                    open_records = 0
        if open_records:
            self._commit(open_records)

    def end(self, markers: Sequence[ReplayMarker]) -> None:
        """Write the end marker of each partition, all in one transaction; ``markers`` are the begin markers."""
        self.at("before-end")
        ends = [replace(m, kind="end", count=count) for m, count in zip(markers, self.counts, strict=True)]
        self._mark(ends)
        self.at("after-end")

    def _commit(self, records: int) -> None:
        self.at("before-commit")
        self.writer.commit()
        self._sent += records
        self.at("after-commit")
        self.progress(sum(self.counts))
        early_s = self._started_s + self._sent / self.rate_per_s - self.clock_s()
        if early_s > PACE_S:
            self.sleep(early_s)

    def _mark(self, markers: Sequence[ReplayMarker]) -> None:
        self.writer.begin()
        for partition, marker in enumerate(markers):
            self.writer.send(partition, None, None, marker.headers())
        self.writer.commit()
