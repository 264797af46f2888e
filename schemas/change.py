"""A change: one record of a table's stream, as an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.version import Version

Image = Mapping[str, Any]
"""An item before or after a change as its Avro record: typed fields by name, other attributes under ``extra``.

Text and enums are ``str``, whole numbers and times ``int`` (times in milliseconds since the epoch), other numbers
:class:`decimal.Decimal`, binary ``bytes``, lists ``list``, maps and records ``dict``; ``extra`` maps the name of an
attribute to its DynamoDB JSON as text.
"""


class Op(StrEnum):
    """What happened to the item. Consumers treat an op they do not know as an upsert by ``after``."""

    CREATE = "c"
    UPDATE = "u"
    DELETE = "d"
    READ = "r"
    """A row of a first load or a reload: the item as the scan saw it."""

    @classmethod
    def read(cls, text: str) -> Op:
        """The op that ``text`` names; one that this version does not know is an upsert by ``after``: UPDATE."""
        return _OPS.get(text, cls.UPDATE)


_OPS = {op.value: op for op in Op}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a change comes from: the identity that idempotence is built on."""

    table: str
    region: str
    """AWS region of the table whose stream was read, from configuration."""
    stream: str
    """ARN of the stream; empty for a first load."""
    shard: str
    """Shard id; for a first load ``snapshot-<epoch>-<segment>``."""
    sequence: int
    """Sequence number of the stream record; 0 for a first load."""
    ordinal: int
    """Dense number of the change within its shard, from 0; filtered changes are not counted."""
    event_id: str
    """``<shard>:<sequence>``, the same however often the record is read; ``<shard>:<ordinal>`` for a first load."""
    ttl: bool = False
    """True when DynamoDB's time-to-live deleted the item."""
    writing_region: str | None = None
    """The region that wrote the item, where an item attribute names it (global tables)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one item, in order for its key."""

    op: Op
    key: Mapping[str, Any]
    """The item's primary key as DynamoDB JSON: ``{"orderId": {"S": "o-1"}}``."""
    before: Image | None
    after: Image | None
    source: Source
    version: Version
    occurred_at_ms: int
    """When DynamoDB applied it (ApproximateCreationDateTime): whole seconds on AWS, whole minutes on DynamoDB Local."""
    captured_at_ms: int
    """When the producer read it."""
