"""The client's listing: all pages, no endless ones, partial failure kept apart from absence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connectors.dynamodb_streams import IteratorSpec, ShardRefusedError, StreamClient
from schemas.errors import ConfigError, RetryableError


class Api:
    """Stands for both boto3 clients."""

    def __init__(self, answers: dict[str, Callable[..., dict[str, Any]]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.meta = self
        self.events = self

    def register(self, *_: Any, **__: Any) -> None: ...

    def client(self, _: str) -> Api:
        return self

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.asked.append((name, arguments))
            return self._answers[name](**arguments)

        return call


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Call")


def client(**answers: Callable[..., dict[str, Any]]) -> tuple[StreamClient, Api]:
    api = Api(answers)
    return StreamClient(api, now_ms=lambda: 7), api  # type: ignore[arg-type]  # stands for AwsClients


def pages(*sizes: int, fail_at: int | None = None) -> Callable[..., dict[str, Any]]:
    """A DescribeStream of pages of these sizes."""

    def describe_stream(StreamArn: str, ExclusiveStartShardId: str = "p0") -> dict[str, Any]:  # noqa: N803 (boto3's names)
        number = int(ExclusiveStartShardId.removeprefix("p"))
        if number == fail_at:
            raise failure("InternalServerError")
        shards = [{"ShardId": f"s{number}-{n}", "SequenceNumberRange": {}} for n in range(sizes[number])]
        more = {"LastEvaluatedShardId": f"p{number + 1}"} if number + 1 < len(sizes) else {}
        return {"StreamDescription": {"Shards": shards, **more}}

    return describe_stream


def test_every_page_is_read() -> None:
    """250 shards come in three pages of at most 100: a reader of the first page would lose the rest."""
    streams, api = client(describe_stream=pages(100, 100, 50))
    listing = streams.list_shards("arn")
    assert len(listing.shards) == 250
    assert listing.complete
    assert listing.at_ms == 7
    assert len(api.asked) == 3


def test_a_page_that_fails_leaves_a_partial_listing() -> None:
    """What was listed before the failure is used; nothing is proven absent by it."""
    streams, _ = client(describe_stream=pages(100, 100, 50, fail_at=2))
    listing = streams.list_shards("arn")
    assert len(listing.shards) == 200
    assert not listing.complete


def test_a_first_page_that_fails_raises() -> None:
    """Nothing was learnt: the caller backs off."""
    streams, _ = client(describe_stream=pages(100, fail_at=0))
    with pytest.raises(RetryableError):
        streams.list_shards("arn")


def test_a_repeated_cursor_ends_the_listing() -> None:
    """A server that pages in a circle does not hang discovery, and proves no absence."""

    def describe_stream(**_: Any) -> dict[str, Any]:
        return {"StreamDescription": {"Shards": [{"ShardId": "a"}], "LastEvaluatedShardId": "a"}}

    streams, api = client(describe_stream=describe_stream)
    assert not streams.list_shards("arn").complete
    assert len(api.asked) == 2


def test_a_stream_that_is_gone_is_a_complete_listing_of_nothing() -> None:
    """Its shards are unlisted, then: what was unread becomes a gap, not a stall."""

    def describe_stream(**_: Any) -> dict[str, Any]:
        raise failure("ResourceNotFoundException")

    streams, _ = client(describe_stream=describe_stream)
    listing = streams.list_shards("arn")
    assert listing.complete
    assert not listing.shards


def test_children_are_known_by_their_parent_only() -> None:
    """DynamoDB Local ignores the filter and returns all shards, the parent among them."""

    def describe_stream(**_: Any) -> dict[str, Any]:
        shards = [{"ShardId": "p"}, {"ShardId": "c", "ParentShardId": "p"}, {"ShardId": "x", "ParentShardId": "q"}]
        return {"StreamDescription": {"Shards": shards}}

    streams, api = client(describe_stream=describe_stream)
    found = streams.children("arn", "p")
    assert found.shards.keys() == {"c"}
    assert not found.complete
    assert api.asked[0][1]["ShardFilter"] == {"Type": "CHILD_SHARDS", "ShardId": "p"}


def test_sequence_numbers_are_padded_as_the_api_wants_them() -> None:
    """DynamoDB Local counts from 1 in 21 digits; AWS's numbers are as long by themselves."""
    streams, api = client(get_shard_iterator=lambda **_: {"ShardIterator": "it"})
    streams.iterator("arn", "s", IteratorSpec("AFTER_SEQUENCE_NUMBER", 815))
    streams.iterator("arn", "s", IteratorSpec("AFTER_SEQUENCE_NUMBER", 10**24))
    streams.iterator("arn", "s", IteratorSpec("TRIM_HORIZON"))
    numbers = [arguments.get("SequenceNumber") for _, arguments in api.asked]
    assert numbers == ["000000000000000000815", str(10**24), None]


def test_an_answer_that_refuses_access_may_be_right_later() -> None:
    """A role that changes under a running reader does not end it."""

    def get_records(**_: Any) -> dict[str, Any]:
        raise failure("AccessDeniedException")

    streams, _ = client(get_records=get_records)
    with pytest.raises(RetryableError):
        streams.records("it", 10)


def test_a_missing_shard_is_told_apart() -> None:
    """ResourceNotFoundException is a refusal, which only a listing explains."""

    def get_shard_iterator(**_: Any) -> dict[str, Any]:
        raise failure("ResourceNotFoundException")

    streams, _ = client(get_shard_iterator=get_shard_iterator)
    with pytest.raises(ShardRefusedError):
        streams.iterator("arn", "s", IteratorSpec("TRIM_HORIZON"))


@pytest.mark.parametrize(
    "table,sentence",
    [
        ({"TableName": "t"}, "has no stream"),
        (
            {"LatestStreamArn": "arn", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
            "KEYS_ONLY",
        ),
    ],
)
def test_a_table_that_cannot_work_is_told_in_a_sentence(table: dict[str, Any], sentence: str) -> None:
    """No stream, or one without images, is the configuration's fault."""
    streams, _ = client(describe_table=lambda **_: {"Table": table})
    with pytest.raises(ConfigError, match=sentence):
        streams.status("t")


def test_a_disabled_stream_is_still_a_stream() -> None:
    """Its ARN stays, and what it has can be read for a day."""
    table = {"LatestStreamArn": "arn", "StreamSpecification": {"StreamEnabled": False}}
    streams, _ = client(describe_table=lambda **_: {"Table": table})
    status = streams.status("t")
    assert (status.arn, status.enabled) == ("arn", False)
