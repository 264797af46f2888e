"""The archive sink: the partitions' writers and the memory they share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from itertools import accumulate

from prometheus_client import CollectorRegistry

from connectors.s3 import ObjectStore
from consumers.archive.index_keeper import IndexKeeper
from consumers.archive.runs import Runs
from consumers.archive.settings import ArchiveSettings
from consumers.archive.writer import ArchiveMetrics, ArchiveWriter
from consumers.runtime.contracts import Partition, PartitionWriter
from consumers.uploads import UploadThreads


class ArchiveSink:
    """Keeps every record by the minute of its event time (a :class:`~consumers.runtime.contracts.BatchSink`).

    Many minutes are open at once; one is closed by the records' time, by the clock, by its size or by the bound on
    memory.

    Args:
        store: the archive's bucket.
        settings: times and sizes.
        registry: where the metrics go.
        now_ms: the clock.
        executor: runs the uploads; by default threads, ``settings.parallel_uploads`` of them.
    """

    name = "archive"

    def __init__(
        self,
        store: ObjectStore,
        settings: ArchiveSettings,
        *,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
        executor: Executor | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.metrics = ArchiveMetrics(registry)
        self.now_ms = now_ms
        self.executor = executor or UploadThreads(settings.parallel_uploads, "archive-upload")
        self._writers: list[ArchiveWriter] = []

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        """Continue at the committed offset; what lies above it in the bucket is skipped as it comes."""
        writer = ArchiveWriter(
            Runs(self.store, self.settings.prefix, partition),
            committed,
            settings=self.settings,
            metrics=self.metrics,
            executor=self.executor,
            now_ms=self.now_ms,
            relieve=self._relieve,
            forget=self._writers.remove,
            keeper=IndexKeeper(
                self.store,
                self.settings.prefix,
                partition,
                executor=self.executor,
                after_ms=self.settings.index_after_ms,
                now_ms=self.now_ms,
            ),
        )
        self._writers.append(writer)
        return committed, writer

    def _relieve(self) -> None:
        """Bring what all writers hold below the bound, by a quarter of it at a time.

        First records become columns, which costs no object; then the largest minutes are closed early, side by side.
        """
        if self._held() <= self.settings.memory_bytes:
            return
        for writer in self._writers:
            writer.compact()
        enough = self.settings.memory_bytes * 3 // 4
        while (surplus := self._held() - enough) > 0:
            sizes = sorted(
                ((nbytes, index, number) for index, w in enumerate(self._writers) for nbytes, number in w.sizes()),
                reverse=True,
            )
            running = accumulate(nbytes for nbytes, _, _ in sizes)
            count = 1 + next(position for position, total in enumerate(running) if total >= surplus)
            for _, index, number in sizes[:count]:
                self._writers[index].send(number)
            for _, index, number in sizes[:count]:
                self._writers[index].finish(number)

    def _held(self) -> int:
        return sum(writer.nbytes for writer in self._writers)
