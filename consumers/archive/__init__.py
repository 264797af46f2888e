"""The archive sink: every change by the minute of its event time, for 90 days, to be searched and replayed.

Promises: nothing is overwritten, nothing lost or stored twice on a crash, a rebalance or a retry; a late record goes
to a
new object of its true minute; memory is bounded for any number of open minutes and partitions.
"""

from consumers.archive.indexing import ensure_index, indexes_in, runs_of_key
from consumers.archive.minutes import Run, event_ms, run_of
from consumers.archive.reader import partitions_in, read_archive, read_runs, runs_in
from consumers.archive.search import (
    ArchiveReport,
    all_runs,
    declared_in_archive,
    records_of_key,
    verify_archive,
)
from consumers.archive.settings import ArchiveSettings
from consumers.archive.sink import ArchiveSink

__all__ = [
    "ArchiveReport",
    "ArchiveSettings",
    "ArchiveSink",
    "Run",
    "all_runs",
    "declared_in_archive",
    "ensure_index",
    "event_ms",
    "indexes_in",
    "partitions_in",
    "read_archive",
    "read_runs",
    "records_of_key",
    "run_of",
    "runs_in",
    "runs_of_key",
    "verify_archive",
]
