"""The archive's objects as tables, fetched ahead, with every ordinal noted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pyarrow as pa

from connectors.s3 import ObjectStore
from consumers.archive import Run
from consumers.archive.minutes import name_of
from consumers.columns import Declared, OrdinalLedger, judge_ordinals, read_table
from schemas.errors import FatalError

COLUMNS: Final = (
    "timestamp_ms",
    "timestamp_type",
    "key",
    "value",
    "headers",
    "event_id",
    "shard",
    "ordinal",
    "op",
)


class Archived:
    """The archive's records in a range of event time, to be read once.

    Args:
        store: the archive's bucket.
        prefix: the first part of its names.
        runs: its objects in the range.
        parallel: objects fetched ahead.
    """

    def __init__(self, store: ObjectStore, prefix: str, runs: Sequence[Run], *, parallel: int) -> None:
        self._store, self._prefix, self.runs, self._parallel = store, prefix, runs, parallel
        self._ledger = OrdinalLedger()

    def tables(self, progress: Callable[[int], None]) -> Iterator[pa.Table]:
        """The table of each object; ``progress`` is told how many are read.

        Raises:
            FatalError: an object is gone or damaged.
        """
        ahead: deque[Future[pa.Table]] = deque()
        waiting = iter(self.runs)
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="replay-read") as executor:
            for run in waiting:
                ahead.append(executor.submit(self._fetch, run))
                if len(ahead) == self._parallel:
                    break
            done = 0
            while ahead:
                table = ahead.popleft().result()
                if (run_after := next(waiting, None)) is not None:
                    ahead.append(executor.submit(self._fetch, run_after))
                self._ledger.mark(table)
                yield table
                done += 1
                progress(done)

    def gaps(self, declared: Declared, beside: Sequence[Run]) -> list[str]:
        """What is missing between the lowest and the highest ordinal of each shard, in sentences.

        Asked when all are read. What the feed refused (its dead letters) is not missing, nor what lies just outside.

        Args:
            declared: what the archived control events say.
            beside: objects just before and behind the range, read only when an ordinal is missing.
        """
        report = judge_ordinals(self._ledger, declared, firsts={}, lasts={})
        if report.missing and beside:
            around = OrdinalLedger()
            for run in beside:
                around.mark(self._fetch(run))
            report = judge_ordinals(self._ledger, declared, firsts={}, lasts={}, beside=around)
        return [
            f"the archive lacks ordinals {', '.join(_span(*hole) for hole in holes[:5])}"
            f"{' and others' if len(holes) > 5 else ''} of {shard}"
            for shard, holes in sorted(report.missing.items())
        ]

    def repeated(self) -> int:
        """How many changes it holds more than once."""
        return sum(len(ordinals) for ordinals in self._ledger.repeated().values())

    def _fetch(self, run: Run) -> pa.Table:
        name = name_of(self._prefix, run.at, run.minute, run.first)
        stored = self._store.get(name)
        if stored is None:
            raise FatalError(
                f"{self._store.url(name)} is listed and cannot be read",
                hint="its days may just have ended; begin the range later",
            )
        return read_table(stored.body, name=name, columns=COLUMNS)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
