"""Archived tables made by hand, and a topic in memory that a replay is sent into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from consumers.columns import SCHEMA
from producers.replay.state import ReplayState, state_of

START_MS = 1_764_000_000_000


@dataclass(frozen=True, slots=True)
class Archived:
    """One archived record."""

    key: str
    sequence: int
    epoch: int = 1
    at_ms: int = START_MS
    shard: str = "shardId-1"
    ordinal: int = 0
    op: str = "u"
    value: bytes = b"value"

    @property
    def event_id(self) -> str:
        return f"{self.shard}:{self.sequence or self.ordinal}"

    def headers(self) -> list[tuple[str, bytes]]:
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.event_id.encode()),
            ("ce_source", b"arn"),
            ("ce_type", b"changefeed.change." + self.op.encode()),
            ("ce_time", b"2025-11-24T16:00:00Z"),
            ("ce_subject", self.key.encode()),
            ("ce_sequence", b"%040d" % self.sequence),
            ("ce_shard", self.shard.encode()),
            ("ce_ordinal", b"%d" % self.ordinal),
            ("ce_epoch", b"%d" % self.epoch),
            ("ce_capturedtime", b"2025-11-24T16:00:01Z"),
        ]


def table_of(records: Sequence[Archived | None]) -> pa.Table:
    """A table as the archive's files hold it; None is a record that is no change."""
    rows: list[dict[str, Any]] = [
        {
            "offset": offset,
            "timestamp_ms": START_MS if record is None else record.at_ms,
            "timestamp_type": 1,
            "key": None if record is None else record.key.encode(),
            "value": None if record is None else record.value,
            "headers": [{"name": n, "value": v} for n, v in ([] if record is None else record.headers())],
            "event_id": None if record is None else record.event_id,
            "shard": None if record is None else record.shard,
            "ordinal": None if record is None else record.ordinal,
            "op": None if record is None else record.op,
        }
        for offset, record in enumerate(records)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


class Died(BaseException):
    """The process was killed here."""


@dataclass
class Topic:
    """A topic of a replay: what is committed, and what a writer has open."""

    partitions: int
    records: list[list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]] = field(init=False)
    open: list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]] = field(default_factory=list)
    commits: int = 0

    def __post_init__(self) -> None:
        self.records = [[] for _ in range(self.partitions)]

    def begin(self) -> None:
        self.open = []

    def send(
        self, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        self.open.append((partition, key, value, list(headers)))

    def commit(self) -> None:
        for partition, key, value, headers in self.open:
            self.records[partition].append((key, value, headers))
        self.open = []
        self.commits += 1

    def state(self) -> ReplayState | None:
        return state_of(
            [log[0][2] if log else None for log in self.records], [log[-1][2] if log else None for log in self.records]
        )
