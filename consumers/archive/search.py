"""Searching and proving the archive in a range of event time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from connectors.s3 import ObjectStore
from consumers.archive.minutes import Run, name_of
from consumers.archive.reader import partitions_in, read_runs, runs_in
from consumers.columns import (
    Declared,
    OrdinalLedger,
    OrdinalReport,
    StoredRecord,
    declared_in,
    judge_ordinals,
    read_facts,
    read_table,
    records_of,
)
from schemas.errors import FatalError

CONTROL: Final = ".control"
"""``<topic>.control`` is the topic of control events, archived beside the changes."""

SETTLING_MS: Final = 300_000
"""A shard that ended less than this ago may have its last changes in minutes that are still open."""

BESIDE_MS: Final = 600_000
"""How far beyond a range an ordinal is looked for before it counts as missing: minutes go by the time of events, and
the ordinals of a shard follow it only roughly."""


@dataclass(slots=True)
class ArchiveReport:
    """What a verification found."""

    runs: int = 0
    records: int = 0
    faults: list[str] = field(default_factory=list)
    """Objects that are not what their names say."""
    ordinals: OrdinalReport = field(default_factory=OrdinalReport)
    """What the ordinals prove, with what the feed declared."""

    @property
    def missing(self) -> dict[str, list[tuple[int, int]]]:
        """Ranges of ordinals that no object holds and that were not declared, by shard."""
        return self.ordinals.missing

    @property
    def repeated(self) -> dict[str, list[int]]:
        """Ordinals that are held more than once, by shard."""
        return self.ordinals.repeated

    @property
    def valid(self) -> bool:
        """True when nothing was found."""
        return not self.faults and self.ordinals.valid


def all_runs(store: ObjectStore, prefix: str, topic: str, *, from_ms: int = 0, to_ms: int | None = None) -> list[Run]:
    """The runs of every partition of a topic in ``[from_ms, to_ms)``, by minute."""
    found = [
        run
        for partition in partitions_in(store, prefix, topic=topic)
        for run in runs_in(store, prefix, partition, from_ms=from_ms, to_ms=to_ms)
    ]
    return sorted(found, key=lambda run: (run.minute, run.partition, run.first))


def records_of_key(store: ObjectStore, prefix: str, runs: list[Run], key: bytes) -> Iterator[StoredRecord]:
    """The records with this key in ``runs``; objects without it are left after a look at their keys."""
    for run in runs:
        name, body = _body_of(store, prefix, run)
        keys = read_table(body, name=name, columns=["key"]).column("key")
        mine = pc.equal(keys, pa.scalar(key, pa.binary()))
        if pc.any(mine).as_py():
            rows = read_table(body, name=name).filter(mine)
            yield from records_of(rows, topic=run.topic, partition=run.partition)


def verify_archive(
    store: ObjectStore,
    prefix: str,
    runs: list[Run],
    *,
    beside: list[Run] | None = None,
    declared: Declared | None = None,
    ended_before_ms: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ArchiveReport:
    """Whether ``runs`` hold every ordinal of every shard once, and are what their names say.

    A shard that was read across an end of the range shows no gap there: what counts lies between its lowest and its
    highest ordinal found, less what the feed declared as refused.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the names.
        runs: the range.
        beside: runs just outside of it, looked at only when an ordinal is missing.
        declared: what the control events say (:func:`declared_in_archive`).
        ended_before_ms: of shards in the range that ended before, the last ordinal is known; 0 where the range ends
            before the archive does.
        progress: told after each object.
    """
    report, ledger = ArchiveReport(), OrdinalLedger()
    for done, run in enumerate(runs, start=1):
        _verify_run(store, prefix, run, report, ledger)
        if progress is not None:
            progress(done, len(runs))
    told = declared or Declared()
    lasts = told.lasts(ended_before_ms)
    report.ordinals = judge_ordinals(ledger, told, firsts={}, lasts=lasts)
    if report.ordinals.missing and beside:
        around, ignored = OrdinalLedger(), ArchiveReport()
        for run in beside:
            _verify_run(store, prefix, run, ignored, around)
        report.ordinals = judge_ordinals(ledger, told, firsts={}, lasts=lasts, beside=around)
    return report


def declared_in_archive(store: ObjectStore, prefix: str, topic: str) -> Declared:
    """What the archived control events of a topic say; nothing where there are none.

    Raises:
        FatalError: an object is gone or is no run.
    """
    return declared_in(read_runs(store, prefix, all_runs(store, prefix, topic + CONTROL)))


def _verify_run(store: ObjectStore, prefix: str, run: Run, report: ArchiveReport, ledger: OrdinalLedger) -> None:
    try:
        name, body = _body_of(store, prefix, run)
        facts = read_facts(body, name=name)
        table = read_table(body, name=name, columns=["offset", "shard", "ordinal"])
    except FatalError as error:
        report.faults.append(str(error))
        return
    found = (facts.cluster_id, facts.topic_id, facts.partition, facts.first, facts.count, facts.more.get("minute"))
    if found != (run.cluster_id, run.topic_id, run.partition, run.first, table.num_rows, run.minute):
        report.faults.append(f"{name} is of partition {facts.partition}, offset {facts.first}")
    ledger.mark(table)
    report.runs += 1
    report.records += table.num_rows


def _body_of(store: ObjectStore, prefix: str, run: Run) -> tuple[str, bytes]:
    name = name_of(prefix, run.at, run.minute, run.first)
    stored = store.get(name)
    if stored is None:
        raise FatalError(f"{store.url(name)} is listed and cannot be read", hint="its days may just have ended")
    return name, stored.body
