"""The two stores of raw records as evidence, the audit log and the archive: read as a topic's records are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from connectors.s3 import ObjectStore
from consumers import archive, audit
from consumers.runtime.contracts import Record
from feed.verify.evidence import Place, Seen, UnreadableRecord
from feed.verify.record import RecordReader
from schemas.marker import marker_of


class AuditEvidence:
    """Every record of the audit log, partition by partition, in the order of its chain: all changes, once, in order."""

    def __init__(self, place: Place, store: ObjectStore, prefix: str, topic: str, reader: RecordReader) -> None:
        self.place = place
        self._store, self._prefix, self._topic, self._reader = store, prefix, topic, reader

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """One segment in memory at a time.

        Raises:
            FatalError: a segment is missing or is none.
        """
        for partition in audit.partitions_in(self._store, self._prefix, topic=self._topic):
            records = audit.read_chain(self._store, self._prefix, partition)
            yield from _read(records, self._reader, f"audit {partition.topic}[{partition.number}]")


class ArchiveEvidence:
    """Every record of the archive: all changes, once. Its objects go by event time, so order is not judged here."""

    def __init__(self, place: Place, store: ObjectStore, prefix: str, topic: str, reader: RecordReader) -> None:
        self.place = place
        self._store, self._prefix, self._topic, self._reader = store, prefix, topic, reader

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """One object in memory at a time.

        Raises:
            FatalError: an object is gone or is none.
        """
        for partition in archive.partitions_in(self._store, self._prefix, topic=self._topic):
            runs = archive.runs_in(self._store, self._prefix, partition)
            records = archive.read_runs(self._store, self._prefix, runs)
            yield from _read(records, self._reader, f"archive {partition.topic}[{partition.number}]")


def _read(records: Iterable[Record], reader: RecordReader, where: str) -> Iterator[Seen | UnreadableRecord]:
    for record in records:
        if marker_of(record.key(), record.value(), record.headers()) is not None:
            continue  # the end of a snapshot is no change
        yield reader.read(record.key(), record.value(), record.headers() or [], f"{where} offset {record.offset()}")
