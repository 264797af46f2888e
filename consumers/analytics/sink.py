"""The analytics sink: partitions are read from the warehouse's ledger, their changes loaded together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Final

from prometheus_client import CollectorRegistry

from connectors.redshift import Redshift
from connectors.s3 import ObjectStore
from consumers.analytics.columns import Column, image_columns
from consumers.analytics.loader import AnalyticsMetrics, Assigned, Loader
from consumers.analytics.rows import Row, RowShape
from consumers.analytics.settings import AnalyticsSettings
from consumers.analytics.staging import Staging
from consumers.analytics.tables import Tables
from consumers.analytics.warehouse import Warehouse
from consumers.runtime.contracts import Partition, PartitionWriter, Record
from consumers.uploads import UploadThreads
from schemas.change import Change
from schemas.marker import SnapshotMarker, marker_of

log = logging.getLogger(__name__)

Decode = Callable[[bytes], Change]
"""From a record's value to the change, its image after it included."""

LEDGER_FRESH_MS: Final = 3_000
"""So long a reading of the ledger serves: partitions are assigned together, and one query answers for all. An older
truth
does no harm, it only costs a load that the ledger's check refuses."""


class AnalyticsSink:
    """Loads typed rows into the warehouse, once (a :class:`~consumers.runtime.contracts.BatchSink`).

    Args:
        store: the bucket where files are staged.
        redshift: the warehouse.
        image: the image schema of the table (Avro), for typed columns.
        decode: from a value to its change (``ChangeCodec.decode``; the image before is not needed).
        settings: times and sizes.
        registry: where the metrics go.
        now_ms: the clock.
        executor: runs the uploads; by default threads, ``settings.parallel_uploads`` of them.
    """

    name = "analytics"

    def __init__(
        self,
        store: ObjectStore,
        redshift: Redshift,
        *,
        image: Mapping[str, Any],
        decode: Decode,
        settings: AnalyticsSettings,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
        executor: Executor | None = None,
    ) -> None:
        columns: tuple[Column, ...] = image_columns(image)
        self._decode = decode
        self._now_ms = now_ms
        self._shape = RowShape(columns)
        self._warehouse = Warehouse(redshift, Tables(settings.warehouse_schema, settings.table, columns))
        uploads = executor or UploadThreads(settings.parallel_uploads, "analytics-upload")
        self.loader = Loader(
            self._warehouse,
            Staging(store, settings.prefix, uploads),
            self._shape,
            settings,
            metrics=AnalyticsMetrics(registry),
            now_ms=now_ms,
        )
        self._prepared = False
        self._ledgers: dict[str, tuple[int, dict[Partition, int]]] = {}

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        """Continue where the ledger stands; a partition that was never loaded continues at Kafka's commit.

        Raises:
            RetryableError: the warehouse is away.
        """
        if not self._prepared:
            self._warehouse.prepare()
            self._prepared = True
        start = self._ledger(partition.topic).get(partition, committed)
        if start != committed:
            log.info("reading from the ledger partition=%d ledger=%d committed=%d", partition.number, start, committed)
        assigned = self.loader.assign(partition, start)
        return start, AnalyticsWriter(partition, assigned, self.loader, self._shape, self._decode)

    def _ledger(self, topic: str) -> dict[Partition, int]:
        read_ms, ledger = self._ledgers.get(topic, (0, {}))
        now_ms = self._now_ms()
        if now_ms - read_ms >= LEDGER_FRESH_MS:
            ledger = self._warehouse.ledger(topic)
            self._ledgers[topic] = (now_ms, ledger)
        return ledger


class AnalyticsWriter:
    """One partition during one assignment (a :class:`~consumers.runtime.contracts.PartitionWriter`)."""

    def __init__(
        self, partition: Partition, assigned: Assigned, loader: Loader, shape: RowShape, decode: Decode
    ) -> None:
        self._partition = partition
        self._assigned = assigned
        self._loader = loader
        self._shape = shape
        self._decode = decode

    def add(self, records: Sequence[Record]) -> None:
        """Decode records and keep their rows for the next load.

        Raises:
            PoisonError: a record's value is no change; nothing of ``records`` was taken.
            RetryableError: the warehouse or S3 is away and memory is full; nothing of ``records`` was taken.
        """
        self._loader.make_room()
        fresh = [record for record in records if record.offset() >= self._assigned.taken]
        if not fresh:
            return
        # an empty value carries no change: it is passed over
        rows = [self._row_of(record, value) for record in fresh if (value := record.value()) is not None]
        markers = [(record.offset(), found) for record in fresh if (found := _marker_of(record)) is not None]
        self._assigned.rows.extend(rows)
        self._assigned.markers.extend(markers)
        self._assigned.taken = fresh[-1].offset() + 1
        if rows or markers:
            self._loader.gathered()

    def reached(self, position: int) -> None:
        """What lies before ``position`` holds no record: the ledger follows, with the next load or with one of its own.

        See :class:`~consumers.runtime.contracts.PositionWriter`.
        """
        if position > self._assigned.taken:
            self._assigned.taken = position
            self._loader.gathered()

    def tick(self, now_ms: int) -> None:
        """Go on with the load under way, or start the next: of all partitions, whichever is asked first."""
        self._loader.tick(now_ms)

    def flush(self, within_ms: int | None = None) -> None:
        """Load everything taken, of this partition and the others, and return when it has committed.

        Raises:
            RetryableError: it has not, after several tries or within the bound.
        """
        self._loader.wait(within_ms)

    def durable(self) -> int:
        """Where the warehouse's ledger stands; behind it, what held no change while nothing waits for a load."""
        waiting = len(self._assigned.rows) or self._assigned.markers or self._loader.carries(self._partition)
        return self._assigned.loaded if waiting else max(self._assigned.loaded, self._assigned.taken)

    def close(self) -> None:
        """Forget the assignment."""
        self._loader.forget(self._partition)

    def _row_of(self, record: Record, value: bytes) -> Row:
        return self._shape.row_of(self._decode(value), record.partition(), record.offset())


def _marker_of(record: Record) -> SnapshotMarker | None:
    return marker_of(record.key(), None, record.headers()) if record.value() is None else None
