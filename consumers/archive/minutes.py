"""Minutes of event time and the names of their objects. Pure.

    <prefix>/<topic>/<cluster id>/<topic id>/partition=00003/hour=2026-11-24-10/21-00000000000000001234.parquet

A name says what is inside, by content only: two writers of the same records meet at the same name. ``key=value``
folders
are what Athena and DuckDB read as columns.

Within one partition and minute, objects are *runs*: each holds the records of that minute that follow the run before
it,
without a hole, since a run is only written when the one before it is stored. So the offset at which the last run ends
tells all that is held of that minute, and a name can be made from the first offset alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from consumers.runtime.contracts import Partition, Record
from schemas.errors import PoisonError
from schemas.headers import facts_of

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

CREATE_TIME: Final = 1
"""The timestamp type of records that bear their event's time (``confluent_kafka.TIMESTAMP_CREATE_TIME``)."""

_NAME: Final = re.compile(
    r"(?P<topic>[^/]+)/(?P<cluster>[^/]+)/(?P<topic_id>[^/]+)/partition=(?P<partition>\d{5})/"
    r"hour=(?P<hour>\d{4}-\d\d-\d\d-\d\d)/(?P<minute>\d\d)-(?P<first>\d{20})\.parquet"
)


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """An object of the archive, as its name tells it."""

    topic: str
    cluster_id: str
    topic_id: str
    partition: int
    minute: int
    """Minutes since the epoch."""
    first: int
    """Offset of its first record."""

    @property
    def at(self) -> Partition:
        """The partition that the records are from."""
        return Partition(self.cluster_id, self.topic_id, self.topic, self.partition)


def event_ms(record: Record) -> int:
    """When the change happened: the record's own time, or its header where the broker stamped the arrival instead."""
    kind, at_ms = record.timestamp()
    if kind == CREATE_TIME:
        return at_ms
    try:
        return facts_of(record.headers()).occurred_at_ms
    except PoisonError:  # not a change of ours: it is kept all the same, by the only time it has
        return max(at_ms, 0)


def folder_of(prefix: str, partition: Partition, hour: int) -> str:
    """Where an hour (hours since the epoch) of a partition lives."""
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{partition_folder_of(prefix, partition)}hour={at:%Y-%m-%d-%H}/"


def partition_folder_of(prefix: str, partition: Partition) -> str:
    """Where a partition lives: by identities, so that a topic made anew does not meet the old one's offsets."""
    where = f"{partition.topic}/{partition.cluster_id}/{partition.topic_id}"
    return f"{prefix}/{where}/partition={partition.number:05d}/"


def partition_of(prefix: str, folder: str) -> Partition | None:
    """The partition that lives in ``folder``, None when it is not such a folder. Inverse of the above."""
    parts = folder.removeprefix(f"{prefix}/").rstrip("/").split("/")
    if len(parts) != 4 or not re.fullmatch(r"partition=\d{5}", parts[3]):
        return None
    return Partition(parts[1], parts[2], parts[0], int(parts[3].removeprefix("partition=")))


def name_of(prefix: str, partition: Partition, minute: int, first: int) -> str:
    """The name of the run of ``minute`` (minutes since the epoch) that begins at offset ``first``."""
    return f"{folder_of(prefix, partition, minute // 60)}{minute % 60:02d}-{first:020d}.parquet"


def run_of(prefix: str, name: str) -> Run | None:
    """What a name tells, None when it is not a run's."""
    found = _NAME.fullmatch(name.removeprefix(f"{prefix}/"))
    if found is None:
        return None
    return Run(
        topic=found["topic"],
        cluster_id=found["cluster"],
        topic_id=found["topic_id"],
        partition=int(found["partition"]),
        minute=_first_minute(found["hour"]) + int(found["minute"]),
        first=int(found["first"]),
    )


@lru_cache(maxsize=4_096)
def _first_minute(hour: str) -> int:
    """The first minute of an hour in a name; a month's names have 720 of them."""
    return int(datetime.strptime(hour, "%Y-%m-%d-%H").replace(tzinfo=UTC).timestamp()) // 60
