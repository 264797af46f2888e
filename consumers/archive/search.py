"""Searching and proving the archive in a range of event time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from connectors.s3 import ObjectStore
from consumers.archive.minutes import Run, name_of
from consumers.archive.reader import partitions_in, runs_in
from consumers.columns import OrdinalLedger, StoredRecord, read_facts, read_table, records_of
from schemas.errors import FatalError


@dataclass(slots=True)
class ArchiveReport:
    """What a verification found."""

    runs: int = 0
    records: int = 0
    faults: list[str] = field(default_factory=list)
    """Objects that are not what their names say."""
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Ranges of ordinals between the lowest and the highest found that no object holds, by shard."""
    repeated: dict[str, list[int]] = field(default_factory=dict)
    """Ordinals that are held more than once, by shard."""

    @property
    def valid(self) -> bool:
        """True when nothing was found."""
        return not (self.faults or self.missing or self.repeated)


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
    store: ObjectStore, prefix: str, runs: list[Run], *, progress: Callable[[int, int], None] | None = None
) -> ArchiveReport:
    """Whether ``runs`` hold every ordinal of every shard once, and are what their names say.

    A shard that was read across an end of the range shows no gap there: what counts lies between its lowest and its
    highest ordinal found.
    """
    report, ledger = ArchiveReport(), OrdinalLedger()
    for done, run in enumerate(runs, start=1):
        try:
            name, body = _body_of(store, prefix, run)
            facts = read_facts(body, name=name)
            table = read_table(body, name=name, columns=["offset", "shard", "ordinal"])
        except FatalError as error:
            report.faults.append(str(error))
            continue
        where = (facts.cluster_id, facts.topic_id, facts.partition, facts.first, facts.count)
        if where != (run.cluster_id, run.topic_id, run.partition, run.first, table.num_rows):
            report.faults.append(f"{name} is of partition {facts.partition}, offset {facts.first}")
        ledger.mark(table)
        report.runs += 1
        report.records += table.num_rows
        if progress is not None:
            progress(done, len(runs))
    report.missing, report.repeated = ledger.missing(ledger.lowest()), ledger.repeated()
    return report


def _body_of(store: ObjectStore, prefix: str, run: Run) -> tuple[str, bytes]:
    name = name_of(prefix, run.at, run.minute, run.first)
    stored = store.get(name)
    if stored is None:
        raise FatalError(f"{store.url(name)} is listed and cannot be read", hint="its days may just have ended")
    return name, stored.body
