"""Following a stream, holding each write back for a while, writing batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

BATCH: Final = 25
"""Items that BatchWriteItem takes."""

BATCH_TRIES: Final = 8
"""Tries of what a batch left unprocessed, with a back-off that doubles from :data:`FIRST_BACKOFF_S`."""

FIRST_BACKOFF_S: Final = 0.02

Item = Mapping[str, Any]
Identity = tuple[tuple[str, str], ...]


def replica_table(table: str, region: str) -> str:
    """The name of a region's replica."""
    return f"{table}-{region}"


@dataclass(frozen=True, slots=True)
class Write:
    """A state of an item: ``image`` is None when it was deleted."""

    key: Item
    image: Item | None

    @property
    def identity(self) -> Identity:
        """The key, as something to compare by."""
        return tuple(sorted((name, repr(value)) for name, value in self.key.items()))


class Later:
    """Holds writes back for the delay; what comes out is in the order of what went in. Pure, but for its clock."""

    def __init__(self, delay_ms: int, now_ms: Callable[[], int]) -> None:
        self._delay_ms = delay_ms
        self._now_ms = now_ms
        self._held: deque[tuple[int, Write]] = deque()  # bounded by the delay times the table's rate

    def __len__(self) -> int:
        """Writes held back."""
        return len(self._held)

    def put(self, writes: Sequence[Write]) -> None:
        """Hold these back from now on."""
        due_ms = self._now_ms() + self._delay_ms
        self._held.extend((due_ms, write) for write in writes)

    def due(self) -> list[Write]:
        """What has waited long enough."""
        now_ms, found = self._now_ms(), list[Write]()
        while self._held and self._held[0][0] <= now_ms:
            found.append(self._held.popleft()[1])
        return found


def batches(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Batches that DynamoDB takes: each key once, with its last state; the keys in the order of that."""
    last: dict[Identity, Write] = {}
    for write in writes:
        last.pop(write.identity, None)
        last[write.identity] = write
    states = list(last.values())
    for begin in range(0, len(states), BATCH):
        yield states[begin : begin + BATCH]


class Replica:
    """One region's copy of the table."""

    def __init__(self, client: Any, table: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._key = [part["AttributeName"] for part in client.describe_table(TableName=table)["Table"]["KeySchema"]]
        self._table = table
        self._sleep = sleep

    def write(self, writes: Sequence[Write]) -> None:
        """Bring items to these states.

        Raises:
            TimeoutError: DynamoDB left some of them unprocessed, again and again.
        """
        for batch in batches(writes):
            self._write_batch([_request(write) for write in batch])

    def remove_others(self, identities: AbstractSet[Identity]) -> None:
        """Remove every item that is none of these: it was deleted while nobody copied."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._table):
            items = [Write({name: item[name] for name in self._key}, None) for item in page["Items"]]
            self.write([write for write in items if write.identity not in identities])

    def _write_batch(self, requests: list[dict[str, Any]]) -> None:
        left = {self._table: requests}
        for tried in range(BATCH_TRIES):
            left = self._client.batch_write_item(RequestItems=left).get("UnprocessedItems", {})
            if not left:
                return
            self._sleep(FIRST_BACKOFF_S * 2**tried)
        raise TimeoutError(f"{self._table} does not take {sum(map(len, left.values()))} items")


class Follower:
    """Reads a table and then its stream, shard by shard, each shard from where it was."""

    def __init__(self, dynamodb: Any, streams: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._streams = streams
        self._table = table
        described = dynamodb.describe_table(TableName=table)["Table"]
        self._stream = described["LatestStreamArn"]
        self._key = [part["AttributeName"] for part in described["KeySchema"]]
        self._iterators: dict[str, str] = {}
        self._known: set[str] = set()

    def begin(self) -> Iterator[list[Write]]:
        """The whole table, in pages. What changes meanwhile comes again from the stream."""
        for shard in self._shards():
            self._known.add(shard["ShardId"])
            if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
                self._iterators[shard["ShardId"]] = self._iterator(shard["ShardId"], "LATEST")
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=self._table):
            yield [Write({name: item[name] for name in self._key}, item) for item in page["Items"]]

    def read(self) -> list[Write]:
        """What the stream has now. A shard that ended is followed by its children from their beginning."""
        found: list[Write] = []
        for shard, iterator in list(self._iterators.items()):
            answer = self._streams.get_records(ShardIterator=iterator)
            found += [_write_of(record["dynamodb"]) for record in answer["Records"]]
            following = answer.get("NextShardIterator")
            if following is None:
                del self._iterators[shard]
                self._follow_on()
            else:
                self._iterators[shard] = following
        return found

    def _follow_on(self) -> None:
        """Children of what has ended. A key's changes go from a shard to its child: no other order is needed."""
        ended = self._known - set(self._iterators)
        for shard in self._shards():
            if shard["ShardId"] not in self._known and shard.get("ParentShardId") in ended:
                self._known.add(shard["ShardId"])
                self._iterators[shard["ShardId"]] = self._iterator(shard["ShardId"], "TRIM_HORIZON")

    def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request: dict[str, Any] = {"StreamArn": self._stream}
        while True:
            page = self._streams.describe_stream(**request)["StreamDescription"]
            shards += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return shards
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]

    def _iterator(self, shard: str, kind: str) -> str:
        asked = {"StreamArn": self._stream, "ShardId": shard, "ShardIteratorType": kind}
        return str(self._streams.get_shard_iterator(**asked)["ShardIterator"])


def _write_of(record: Mapping[str, Any]) -> Write:
    return Write(record["Keys"], record.get("NewImage"))


def _request(write: Write) -> dict[str, Any]:
    if write.image is None:
        return {"DeleteRequest": {"Key": write.key}}
    return {"PutRequest": {"Item": write.image}}
