"""The client, boto3 and all, against the simulated stream over HTTP: every answer that a reader must stand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.config import Config

from connectors.aws import AwsClients
from connectors.dynamodb_streams import (
    IteratorExpiredError,
    IteratorSpec,
    ShardRefusedError,
    ShardTrimmedError,
    StreamClient,
    StreamRecord,
    StreamThrottledError,
)
from feed.testing.simulator import SimulatedClock, SimulatedStreams, StreamsApi, StreamsServer
from feed.testing.tables import aws_settings
from schemas.errors import ConfigError, RetryableError

HORIZON = IteratorSpec("TRIM_HORIZON")
HOUR_MS = 3_600_000


@dataclass
class Served:
    """A simulated table, and the client that reads it."""

    streams: SimulatedStreams
    clock: SimulatedClock
    api: StreamsApi
    client: StreamClient

    def read(self, shard: str, spec: IteratorSpec = HORIZON) -> tuple[list[StreamRecord], str | None]:
        """Records up to an empty page, or to the shard's end (no token)."""
        token: str | None = self.client.iterator(self.streams.arns()[-1], shard, spec)
        found: list[StreamRecord] = []
        while token is not None:
            page = self.client.records(token, 1_000)
            found += page.records
            token = page.next_token
            if not page.records:
                break
        return found, token


@pytest.fixture
def served() -> Iterator[Served]:
    """One shard, and a client that does not try again by itself."""
    clock = SimulatedClock()
    streams = SimulatedStreams(clock, random.Random(1))
    api = StreamsApi(streams)
    with StreamsServer(api.answer) as server:
        clients = AwsClients(aws_settings(server.endpoint))
        streams.enable()
        yield Served(streams, clock, api, StreamClient(clients, now_ms=clock.now_ms))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore's own tries and pauses are off: an error comes through at once."""
    from connectors import aws  # noqa: PLC0415 (the module whose name is replaced)

    def config(**options: object) -> Config:
        return Config(**{**options, "retries": {"total_max_attempts": 1, "mode": "standard"}})  # type: ignore[arg-type]  # any options

    monkeypatch.setattr(aws, "Config", config)


def test_250_shards_come_in_three_pages(served: Served) -> None:
    """DescribeStream gives 100 shards an answer; all of them are listed, each with its parent."""
    (first,) = served.streams.open_shards()
    served.streams.roll(first, 249)
    listing = served.client.list_shards(served.streams.arns()[0])
    assert listing.complete
    assert len(listing.shards) == 250
    assert listing.shards[first.id].closed
    assert {shard.parent for shard in listing.shards.values()} == {"", first.id}
    assert served.api.calls["DescribeStream"] == 3


def test_children_are_asked_for_by_their_parent(served: Served) -> None:
    """CHILD_SHARDS gives a shard's children only; they are there before the parent looks closed."""
    (first,) = served.streams.open_shards()
    served.streams.rates.closing_delay_ms = 60_000
    served.streams.roll(first, 2)
    served.streams.roll(served.streams.open_shards()[0], 2)
    arn = served.streams.arns()[0]
    children = served.client.children(arn, first.id)
    assert len(children.shards) == 2
    assert not served.client.list_shards(arn).shards[first.id].closed


def test_a_child_may_be_listed_late(served: Served) -> None:
    """It exists, and has records, before any listing shows it."""
    (first,) = served.streams.open_shards()
    served.streams.rates.listing_delay_ms = 5_000
    served.streams.roll(first)
    served.streams.write("a")
    arn = served.streams.arns()[0]
    assert served.client.children(arn, first.id).shards == {}
    served.clock.advance(5_000)
    (child,) = served.client.children(arn, first.id).shards
    assert len(served.read(child)[0]) == 1


def test_a_shard_ends_by_a_missing_iterator_only(served: Served) -> None:
    """Empty pages come in between; what was written is read once, in order, to the end."""
    (shard,) = served.streams.open_shards()
    for _ in range(30):
        served.streams.write("a")
    served.streams.roll(shard)
    served.streams.rates.empty = 0.5
    token: str | None = served.client.iterator(served.streams.arns()[0], shard.id, HORIZON)
    found, empties = [], 0
    while token is not None:
        page = served.client.records(token, 7)
        empties += not page.records
        found += [int(record["dynamodb"]["SequenceNumber"]) for record in page.records]
        token = page.next_token
    assert len(found) == 30
    assert found == sorted(set(found))
    assert empties


def test_an_answer_holds_a_thousand_records_or_a_mebibyte(served: Served) -> None:
    """Both caps of the service."""
    (shard,) = served.streams.open_shards()
    served.streams.rates.page_records = 10_000
    for number in range(3_000):
        served.streams.write(f"k{number}")
    token = served.client.iterator(served.streams.arns()[0], shard.id, HORIZON)
    served.streams.random = random.Random(3)  # a page may be short by chance: take the longest of some
    assert max(len(served.client.records(token, 1_000).records) for _ in range(9)) == 1_000
    for _, _, record in shard.records:
        record["dynamodb"]["SizeBytes"] = 400_000
    assert max(len(served.client.records(token, 1_000).records) for _ in range(9)) == 3


def test_an_iterator_lives_fifteen_minutes(served: Served) -> None:
    """Then it is told as expired; a new one after the same number goes on."""
    (shard,) = served.streams.open_shards()
    served.streams.write("a")
    token = served.client.iterator(served.streams.arns()[0], shard.id, HORIZON)
    served.clock.advance(16 * 60_000)
    with pytest.raises(IteratorExpiredError):
        served.client.records(token, 10)
    assert len(served.read(shard.id)[0]) == 1


def test_what_is_trimmed_and_what_is_gone_are_told_apart(served: Served) -> None:
    """A position before the horizon is trimmed; a shard that has left the listing is refused."""
    (shard,) = served.streams.open_shards()
    served.streams.write("a")
    served.streams.write("b")
    (first, _), _ = served.read(shard.id)
    served.clock.advance(25 * HOUR_MS)
    with pytest.raises(ShardTrimmedError):
        served.read(shard.id, IteratorSpec("AFTER_SEQUENCE_NUMBER", int(first["dynamodb"]["SequenceNumber"])))
    served.streams.roll(shard)
    served.clock.advance(25 * HOUR_MS)
    with pytest.raises(ShardRefusedError):
        served.read(shard.id)
    assert shard.id not in served.client.list_shards(served.streams.arns()[0]).shards


def test_throttles_and_server_errors_are_told_apart(served: Served) -> None:
    """Both may be tried again."""
    (shard,) = served.streams.open_shards()
    arn = served.streams.arns()[0]
    served.streams.rates.throttled = 1.0
    with pytest.raises(StreamThrottledError):
        served.client.iterator(arn, shard.id, HORIZON)
    served.streams.rates.throttled, served.streams.rates.failed = 0.0, 1.0
    with pytest.raises(RetryableError) as raised:
        served.client.list_shards(arn)
    assert not isinstance(raised.value, StreamThrottledError)


def test_a_page_of_a_listing_that_fails_makes_it_incomplete(served: Served) -> None:
    """What came before it is used; nothing is proven absent."""
    (first,) = served.streams.open_shards()
    served.streams.roll(first, 249)
    served.streams.rates.partial_listing = 1.0
    listing = served.client.list_shards(served.streams.arns()[0])
    assert (len(listing.shards), listing.complete) == (100, False)


def test_listings_beyond_ten_calls_a_second_are_throttled(served: Served) -> None:
    """The account's limit, whoever calls; a second later it is free again."""
    served.streams.rates.describes_per_second = 10
    arn = served.streams.arns()[0]
    for _ in range(10):
        served.client.list_shards(arn)
    with pytest.raises(StreamThrottledError):
        served.client.list_shards(arn)
    served.clock.advance(1_000)
    assert served.client.list_shards(arn).complete


def test_a_stream_enabled_anew_has_another_name_and_the_old_one_can_be_read(served: Served) -> None:
    """The status tells the new one; what was written between the two is in neither."""
    (shard,) = served.streams.open_shards()
    served.streams.write("a")
    served.streams.disable()
    assert not served.client.status("orders").enabled
    served.streams.write("a")
    old, new = served.streams.arns()[0], served.streams.enable()
    served.streams.write("a")
    assert served.client.status("orders").arn == new
    token: str | None = served.client.iterator(old, shard.id, HORIZON)
    found = 0
    while token is not None:
        page = served.client.records(token, 10)
        found, token = found + len(page.records), page.next_token
    assert found == 1


def test_times_are_cut_and_deletes_by_ttl_are_marked(served: Served) -> None:
    """Creation times are whole seconds; only the service's own deletes carry its identity; a no-op gives no record."""
    (shard,) = served.streams.open_shards()
    served.clock.advance(1_234)
    for key in ("a", "b"):
        served.streams.write(key)
        served.streams.write_nothing_new(key)
        served.streams.write(key, op="delete", ttl=key == "b")
    found, _ = served.read(shard.id)
    assert [record["eventName"] for record in found] == ["INSERT", "REMOVE"] * 2
    assert all(record["dynamodb"]["ApproximateCreationDateTime"] % 1 == 0 for record in found)
    assert ["userIdentity" in record for record in found] == [False, False, False, True]


def test_another_table_is_not_there(served: Served) -> None:
    """A wrong name is a sentence, not a wait."""
    with pytest.raises(ConfigError, match="no table others"):
        served.client.status("others")


def test_streams_of_a_table_are_listed(served: Served) -> None:
    """ListStreams, as boto3 asks for it."""
    served.streams.disable()
    served.streams.enable()
    with StreamsServer(served.api.answer) as server:
        found = AwsClients(aws_settings(server.endpoint)).client("dynamodbstreams").list_streams(TableName="orders")
    assert [stream["StreamArn"] for stream in found["Streams"]] == served.streams.arns()
