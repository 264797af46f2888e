"""The snapshot: every item of the table as a row, beside the stream that flows on.

Promises: rows are published once, however often a run is killed and resumed; a row never overwrites a change that came
after it; when the marker of a snapshot stands in a partition, every row of that partition stands before it.
"""

from producers.snapshot.kafka_log import KafkaSnapshotLog
from producers.snapshot.parts import NotAdoptedError, Parts, Progress, ReplacedError, Stage
from producers.snapshot.resnapshot import Resnapshot, reason_after_gap
from producers.snapshot.rows import SNAPSHOT_STAGE, RowContext, row_change
from producers.snapshot.run import SnapshotRun
from producers.snapshot.scan import DynamoDbTable
from producers.snapshot.settings import SnapshotSettings

__all__ = [
    "SNAPSHOT_STAGE",
    "DynamoDbTable",
    "KafkaSnapshotLog",
    "NotAdoptedError",
    "Parts",
    "Progress",
    "ReplacedError",
    "Resnapshot",
    "RowContext",
    "SnapshotRun",
    "SnapshotSettings",
    "Stage",
    "reason_after_gap",
    "row_change",
]
