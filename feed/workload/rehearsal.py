"""The workload against a table in memory: a ledger and the changes that its stream tells of, without any server.

For tests of whatever consumes or judges changes; it is also what the lanes themselves are tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

import orjson

from feed.workload.lane import Clock, Lane
from feed.workload.ledger import Entry
from feed.workload.plan import plan_lane
from feed.workload.settings import WorkloadSettings
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version

START_MS: Final = 1_700_000_000_000
"""When rehearsals begin; their clock only moves when somebody sleeps or calls."""

SHARDS: Final = 4

Item = dict[str, Any]
Record = tuple[Op, Item | None, Item | None]
"""What a stream tells: op, before, after."""


class MemoryTable:
    """The three calls that a lane makes, with their conditions; ``records`` is the stream."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.records: list[Record] = []

    def call(self, target: str, body: bytes) -> tuple[int, bytes]:
        """As :class:`feed.workload.lane.Caller`."""
        request = orjson.loads(body)
        key = str((request.get("Key") or request["Item"])["orderId"]["S"])
        standing = self.items.get(key)
        if target == "GetItem":
            return 200, orjson.dumps({"Item": standing} if standing else {})
        if not _allows(request, standing):
            return 400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}'
        self._apply(key, standing, None if target == "DeleteItem" else request["Item"])
        return 200, b"{}"

    def _apply(self, key: str, standing: Item | None, item: Item | None) -> None:
        if item == standing:
            return  # as in DynamoDB: a write that changes nothing gives no record
        if item is None:
            del self.items[key]
            self.records.append((Op.DELETE, standing, None))
        else:
            self.items[key] = item
            self.records.append((Op.UPDATE if standing else Op.CREATE, standing, item))


@dataclass(slots=True)
class Rehearsal:
    """A run that never happened."""

    entries: list[Entry] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def changes(self, codec: ChangeCodec, table: str = "orders") -> Iterator[Change]:
        """The records as the producer would publish them, spread over a few shards by order."""
        ordinals = [0] * SHARDS
        for sequence, (op, before, after) in enumerate(self.records, 1):
            item = after or before or {}
            number = crc32(item["orderId"]["S"].encode()) % SHARDS
            shard = f"shardId-{number:020d}"
            at_ms = int(item["updatedAt"]["N"])
            source = Source(table, "eu-west-1", "stream", shard, sequence, ordinals[number], f"{shard}:{sequence}")
            ordinals[number] += 1
            yield Change(
                op=op,
                key={"orderId": item["orderId"]},
                before=codec.image_from_dynamodb(before) if before else None,
                after=codec.image_from_dynamodb(after) if after else None,
                source=source,
                version=Version(1, sequence),
                occurred_at_ms=at_ms // 1_000 * 1_000,
                captured_at_ms=at_ms + 50,
            )


def rehearse(settings: WorkloadSettings, make_table: Callable[[], MemoryTable] = MemoryTable) -> Rehearsal:
    """Run all lanes, one after another, with a clock that jumps."""
    rehearsal = Rehearsal()
    for number in range(settings.lanes):
        clock = JumpingClock()
        table = make_table()
        lane = Lane(
            table, "orders", rehearsal.entries.append, clock.as_clock(), settle_timeout_ms=settings.settle_timeout_ms
        )
        lane.run(plan_lane(settings, number), START_MS)
        rehearsal.records += table.records
    return rehearsal


class JumpingClock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.ms = float(START_MS)

    def sleep(self, ms: float) -> None:
        """Jump."""
        self.ms += ms

    def as_clock(self) -> Clock:
        """For a lane; never stopping."""
        return Clock(lambda: self.ms, self.sleep, lambda: False)


def _allows(request: dict[str, Any], standing: Item | None) -> bool:
    condition = request.get("ConditionExpression")
    if condition == "attribute_not_exists(orderId)":
        return standing is None
    if condition == "revision = :standing":
        return standing is not None and standing["revision"] == request["ExpressionAttributeValues"][":standing"]
    return condition is None
