"""Reading the archive back: its objects in a range of event time, and their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from connectors.s3 import ObjectStore
from consumers.archive.minutes import (
    DAY_MS,
    MINUTE_MS,
    Run,
    event_ms,
    name_of,
    partition_folder_of,
    partition_of,
    run_of,
)
from consumers.columns import StoredRecord, read_records
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

MOST_DAYS: Final = 100
"""Days that are listed one by one; a longer range is listed from its begin to the end of the archive."""


def partitions_in(store: ObjectStore, prefix: str, *, topic: str = "") -> list[Partition]:
    """Every partition that has objects under ``prefix`` (of one topic, if given), in order. Lists folders only."""
    folders = [f"{prefix}/{topic}/"] if topic else list(store.folders(f"{prefix}/"))
    for _level in ("cluster", "topic id", "partition"):
        folders = [below for folder in folders for below in store.folders(folder)]
    found = [partition for folder in folders if (partition := partition_of(prefix, folder)) is not None]
    return sorted(found, key=lambda at: (at.topic, at.cluster_id, at.topic_id, at.number))


def runs_in(
    store: ObjectStore, prefix: str, partition: Partition, *, from_ms: int = 0, to_ms: int | None = None
) -> list[Run]:
    """The runs of a partition with minutes that touch ``[from_ms, to_ms)``, by minute and offset.

    A range of at most :data:`MOST_DAYS` days is listed day by day, so nothing outside of it is.
    """
    runs: set[Run] = set()
    for folder, after in _listings(prefix, partition, from_ms, to_ms):
        for entry in store.list(folder, start_after=after):
            run = run_of(prefix, entry.key)
            if run is not None and run.minute >= from_ms // MINUTE_MS:
                runs.add(run)
    return sorted(run for run in runs if to_ms is None or run.minute * MINUTE_MS < to_ms)


def _listings(prefix: str, partition: Partition, from_ms: int, to_ms: int | None) -> Iterator[tuple[str, str]]:
    """What to list for a range: prefixes, each with the name after which it begins."""
    folder = partition_folder_of(prefix, partition)
    first_day = from_ms // DAY_MS
    # the name before the minute's first: "after" is exclusive, and offset 0 may be in that minute
    after = name_of(prefix, partition, from_ms // MINUTE_MS, 0).removesuffix(".parquet") if from_ms else ""
    if to_ms is None or to_ms // DAY_MS - first_day >= MOST_DAYS:
        yield folder, after
        return
    for day in range(first_day, max(to_ms - 1, 0) // DAY_MS + 1):
        at = datetime.fromtimestamp(day * DAY_MS // 1000, UTC)
        yield f"{folder}hour={at:%Y-%m-%d}-", after if day == first_day else ""


def read_runs(store: ObjectStore, prefix: str, runs: Iterable[Run]) -> Iterator[StoredRecord]:
    """The records of ``runs``, run by run, by offset within each; one run in memory at a time.

    Raises:
        FatalError: an object is gone or is no run.
    """
    for run in runs:
        name = name_of(prefix, run.at, run.minute, run.first)
        stored = store.get(name)
        if stored is None:
            raise FatalError(f"{store.url(name)} is listed and cannot be read", hint="its 90 days may just have ended")
        yield from read_records(stored.body, name=name)


def read_archive(
    store: ObjectStore, prefix: str, partition: Partition, *, from_ms: int = 0, to_ms: int | None = None
) -> Iterator[StoredRecord]:
    """All records of a partition that happened in ``[from_ms, to_ms)``, by minute, and by offset within it."""
    for record in read_runs(store, prefix, runs_in(store, prefix, partition, from_ms=from_ms, to_ms=to_ms)):
        if event_ms(record) >= from_ms and (to_ms is None or event_ms(record) < to_ms):
            yield record
