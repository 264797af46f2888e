"""Writing the indexes of hours, and finding an order's objects with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow.compute as pc

from connectors.s3 import ObjectStore
from consumers.archive.index import (
    FIRST_READ_BYTES,
    HourIndex,
    IndexedRun,
    beginning_of,
    build_index,
    index_folder_of,
    index_name,
    index_of,
    read_index,
)
from consumers.archive.minutes import Run, folder_of, name_of, run_of
from consumers.columns import read_facts, read_table
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError, RetryableError

LOOK_UP_THREADS: Final = 16
"""Indexes that are asked at once: a look-up is two small reads, most of it waiting."""


def ensure_index(store: ObjectStore, prefix: str, partition: Partition, hour: int) -> str | None:
    """Write the index of an hour unless there is one that knows all its objects.

    Returns:
        The name of the index that was written; None when there was nothing to do.

    Raises:
        RetryableError: S3 is away.
        FatalError: an object of the hour is no run.
    """
    runs = _runs_of(store, prefix, partition, hour)
    if not runs or len(runs) <= _known_runs(store, prefix, partition, hour):
        return None
    body = build_index(partition, hour, [_read_keys(store, prefix, run) for run in runs])
    name = index_name(prefix, partition, hour, len(runs))
    store.put_create_only(name, body, {"runs": str(len(runs))})
    return name


def indexes_in(
    store: ObjectStore, prefix: str, partition: Partition, *, from_hour: int = 0, to_hour: int | None = None
) -> dict[int, str]:
    """The name of the index of each hour from ``from_hour`` to before ``to_hour``: the one that knows most."""
    best: dict[int, tuple[int, str]] = {}
    after = index_name(prefix, partition, from_hour, 0) if from_hour > 0 else ""
    for entry in store.list(index_folder_of(prefix, partition), start_after=after):
        told = index_of(entry.key)
        if told is not None and (to_hour is None or told[0] < to_hour):
            best[told[0]] = max(best.get(told[0], (0, "")), (told[1], entry.key))
    return {hour: name for hour, (_, name) in sorted(best.items())}


def open_index(store: ObjectStore, name: str) -> HourIndex | None:
    """The beginning of an index; None when it is gone or damaged: then the objects themselves are looked at."""
    start = store.get_range(name, 0, FIRST_READ_BYTES)
    if start is None:
        return None
    try:
        length = beginning_of(start)
        if length > len(start):
            start = store.get_range(name, 0, length) or b""
        return read_index(start)
    except FatalError:
        return None


def runs_of_key(store: ObjectStore, prefix: str, runs: Iterable[Run], key: bytes) -> list[Run]:
    """Those of ``runs`` that may hold the key, in their order.

    A run that an index knows is left out when the index says so. Others (of hours without an index, or stored after
    it) are kept, to be looked at one by one.
    """
    wanted = list(runs)
    hours: dict[tuple[Partition, int], list[Run]] = defaultdict(list)
    for run in wanted:
        hours[run.at, run.minute // 60].append(run)
    indexes: dict[Partition, dict[int, str]] = {}
    for partition in {at for at, _ in hours}:
        mine = [hour for at, hour in hours if at == partition]
        indexes[partition] = indexes_in(store, prefix, partition, from_hour=min(mine), to_hour=max(mine) + 1)
    asked = [(at, hour, indexes[at][hour]) for at, hour in hours if hour in indexes[at]]
    with ThreadPoolExecutor(LOOK_UP_THREADS, thread_name_prefix="archive-index") as threads:
        answers = threads.map(lambda one: _without_key(store, one[2], key), asked)
        without = {
            (at, minute, first) for (at, _, _), found in zip(asked, answers, strict=True) for minute, first in found
        }
    return [run for run in wanted if (run.at, run.minute, run.first) not in without]


def _without_key(store: ObjectStore, name: str, key: bytes) -> set[tuple[int, int]]:
    """Minute and first offset of the runs that an index knows not to hold the key."""
    index = open_index(store, name)
    if index is None:
        return set()
    entries = store.get_range(name, *index.span_of(key))
    if entries is None:
        return set()
    held = set(index.runs_with(key, entries))
    return {(run.minute, run.first) for run in index.runs if run not in held}


def _runs_of(store: ObjectStore, prefix: str, partition: Partition, hour: int) -> list[Run]:
    listed = store.list(folder_of(prefix, partition, hour))
    return sorted(run for entry in listed if (run := run_of(prefix, entry.key)) is not None)


def _known_runs(store: ObjectStore, prefix: str, partition: Partition, hour: int) -> int:
    of_hour = index_name(prefix, partition, hour, 0).removesuffix("000000.index")
    told = [index_of(entry.key) for entry in store.list(of_hour)]
    return max((runs for known in told if known is not None for runs in known[1:]), default=0)


def _read_keys(store: ObjectStore, prefix: str, run: Run) -> tuple[IndexedRun, list[bytes | None]]:
    name = name_of(prefix, run.at, run.minute, run.first)
    stored = store.get(name)
    if stored is None:
        raise RetryableError(f"{store.url(name)} is listed and cannot be read", hint="its days may just have ended")
    facts = read_facts(stored.body, name=name)
    keys = read_table(stored.body, name=name, columns=["key"]).column("key")
    return IndexedRun(run.minute, run.first, facts.last, facts.count), pc.unique(keys).to_pylist()
