"""What a reader relies on in DynamoDB Streams, asked of DynamoDB Local and of the simulator alike.

The simulator is asked in the process, as the simulation of workers does, and over HTTP through our client and boto3.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.aws import AwsClients
from connectors.dynamodb_streams import IteratorSpec, Page, ShardRefusedError, ShardTrimmedError, StreamClient
from feed.testing import RollingTable
from feed.testing.simulator import SimulatedClock, SimulatedStreams, StreamsApi, StreamsServer
from feed.testing.tables import aws_settings
from producers.stream.ports import Stream

pytestmark = pytest.mark.integration

HORIZON = IteratorSpec("TRIM_HORIZON")


class Local:
    """DynamoDB Local, its shards rolled in its file."""

    def __init__(self, table: RollingTable) -> None:
        self.name, self._table, self._client = table.name, table, table.aws.client("dynamodb")
        self.stream: Stream = StreamClient(table.aws, now_ms=lambda: time.time_ns() // 1_000_000)

    def put(self, key: str, revision: int) -> None:
        item = {"orderId": {"S": key}, "revision": {"N": str(revision)}}
        self._client.put_item(TableName=self.name, Item=item)

    def delete(self, key: str) -> None:
        self._client.delete_item(TableName=self.name, Key={"orderId": {"S": key}})

    def roll(self, children: int = 1) -> None:
        self._table.shards.split(children)

    def age(self) -> None:
        self._table.shards.age(25)

    def renew(self) -> None:
        self._client.update_table(TableName=self.name, StreamSpecification={"StreamEnabled": False})
        new = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        self._client.update_table(TableName=self.name, StreamSpecification=new)


class Simulated:
    """The simulator."""

    def __init__(self) -> None:
        self.name, self._clock = "orders", SimulatedClock()
        self.streams = SimulatedStreams(self._clock, random.Random(1))
        self.streams.enable()
        self.stream: Stream = self.streams

    def put(self, key: str, revision: int) -> None:
        if self.streams.items.get(key) == revision:
            self.streams.write_nothing_new(key)
        else:
            self.streams.write(key)

    def delete(self, key: str) -> None:
        self.streams.write(key, op="delete")

    def roll(self, children: int = 1) -> None:
        for shard in self.streams.open_shards():
            self.streams.roll(shard, children)

    def age(self) -> None:
        self._clock.advance(25 * 3_600_000)

    def renew(self) -> None:
        self.streams.disable()
        self.streams.enable()


class Served(Simulated):
    """The simulator over HTTP."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        server = stack.enter_context(StreamsServer(StreamsApi(self.streams).answer))
        self.stream = StreamClient(AwsClients(aws_settings(server.endpoint)), now_ms=self._clock.now_ms)


@pytest.fixture(params=["local", "simulated", "served"])
def table(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each of them, with one shard."""
    with ExitStack() as stack:
        if request.param == "local":
            make: Callable[..., RollingTable] = request.getfixturevalue("rolling_table")
            yield Local(make())
        else:
            yield Simulated() if request.param == "simulated" else Served(stack)


def arn_of(table: Any) -> str:
    arn: str = table.stream.status(table.name).arn
    return arn


def read(table: Any, shard: str, spec: IteratorSpec = HORIZON, arn: str = "") -> tuple[list[dict[str, Any]], Page]:
    """All records from there on, and the last page: the shard's end, or an empty one at the tip."""
    token: str | None = table.stream.iterator(arn or arn_of(table), shard, spec)
    found: list[dict[str, Any]] = []
    while True:
        assert token is not None
        page = table.stream.records(token, 1_000)
        found += page.records
        token = page.next_token
        if token is None or not page.records:
            return found, page


def only_shard(table: Any) -> str:
    (shard,) = table.stream.list_shards(arn_of(table)).shards
    return str(shard)


def test_changes_come_in_order_with_their_images(table: Any) -> None:
    """INSERT has a new image, MODIFY both, REMOVE the old one; sequence numbers grow as integers."""
    table.put("a", 1)
    table.put("a", 2)
    table.delete("a")
    found, page = read(table, only_shard(table))
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"]
    images = [("OldImage" in record["dynamodb"], "NewImage" in record["dynamodb"]) for record in found]
    assert images == [(False, True), (True, True), (True, False)]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in found]
    assert numbers == sorted(set(numbers))
    assert page.next_token is not None


def test_a_write_that_changes_nothing_gives_no_record(table: Any) -> None:
    """A put of what is there already is not in the stream."""
    table.put("a", 1)
    table.put("a", 1)
    assert len(read(table, only_shard(table))[0]) == 1


def test_reading_goes_on_after_a_sequence_number(table: Any) -> None:
    """AFTER is exclusive."""
    for revision in (1, 2, 3):
        table.put("a", revision)
    shard = only_shard(table)
    found, _ = read(table, shard)
    second = int(found[1]["dynamodb"]["SequenceNumber"])
    assert read(table, shard, IteratorSpec("AFTER_SEQUENCE_NUMBER", second))[0] == found[2:]


def test_a_closed_shard_ends_and_its_children_name_it(table: Any) -> None:
    """Only a missing next iterator ends a shard; later writes go to its children."""
    table.put("a", 1)
    parent = only_shard(table)
    table.roll(2)
    table.put("a", 2)
    listing = table.stream.list_shards(arn_of(table))
    assert listing.complete
    children = [shard.id for shard in listing.shards.values() if shard.parent == parent]
    assert len(children) == 2
    assert listing.shards[parent].closed
    assert not any(listing.shards[child].closed for child in children)
    assert set(table.stream.children(arn_of(table), parent).shards) == set(children)
    found, page = read(table, parent)
    assert (len(found), page.next_token) == (1, None)
    assert sum(len(read(table, child)[0]) for child in children) == 1


def test_more_shards_than_a_page_holds_are_all_listed(table: Any) -> None:
    """A hundred come in one answer; 121 are listed."""
    table.put("a", 1)
    table.roll(120)
    listing = table.stream.list_shards(arn_of(table))
    assert listing.complete
    assert len(listing.shards) == 121


def test_a_key_keeps_its_line_of_shards(table: Any) -> None:
    """Over splits a key's changes lie in one shard of each generation, and its revisions grow along them."""
    keys = [f"k{number:02d}" for number in range(20)]
    for revision, children in ((1, 2), (2, 2), (3, 1)):
        for key in keys:
            table.put(key, revision)
        table.roll(children)
    shards = table.stream.list_shards(arn_of(table)).shards
    home: dict[tuple[str, int], str] = {}
    for shard in shards:
        times: dict[str, int] = {}
        for record in read(table, shard)[0]:
            key = next(iter(record["dynamodb"]["Keys"].values()))["S"]
            revision = int(record["dynamodb"]["NewImage"]["revision"]["N"])
            assert revision > times.get(key, 0)
            times[key] = revision
            home[key, revision] = shard
    assert len(home) == 3 * len(keys)
    for key in keys:
        assert shards[home[key, 2]].parent == home[key, 1]
        assert shards[home[key, 3]].parent == home[key, 2]


def test_a_delete_has_the_image_before_it_and_its_keys(table: Any) -> None:
    """REMOVE carries Keys and OldImage, never NewImage; one by a caller has no identity of the service."""
    table.put("a", 1)
    table.delete("a")
    removed = read(table, only_shard(table))[0][1]
    assert set(removed["dynamodb"]) >= {"Keys", "OldImage", "SequenceNumber"}
    assert "NewImage" not in removed["dynamodb"]
    assert removed.get("userIdentity") is None


def test_an_unknown_shard_is_refused(table: Any) -> None:
    """A shard that the stream does not have."""
    with pytest.raises(ShardRefusedError):
        read(table, "shardId-00000000000000000000-00000000")


def test_what_is_older_than_a_day_is_trimmed(table: Any) -> None:
    """A position before the trim horizon is told as such, by GetShardIterator or by GetRecords."""
    table.put("a", 1)
    table.put("a", 2)
    shard = only_shard(table)
    first = int(read(table, shard)[0][0]["dynamodb"]["SequenceNumber"])
    table.age()
    with pytest.raises(ShardTrimmedError):
        read(table, shard, IteratorSpec("AFTER_SEQUENCE_NUMBER", first))


def test_a_stream_enabled_anew_has_another_arn_and_the_old_one_stays_readable(table: Any) -> None:
    """The old stream's shards are closed, and can be read to their end."""
    table.put("a", 1)
    old, shard = arn_of(table), only_shard(table)
    table.renew()
    table.put("a", 2)
    assert arn_of(table) != old
    found, page = read(table, shard, arn=old)
    assert (len(found), page.next_token) == (1, None)
    assert len(read(table, only_shard(table))[0]) == 1
