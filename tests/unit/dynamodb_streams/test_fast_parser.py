"""The fast parser gives what botocore's own gives, on every shape of a record."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb_streams import IteratorExpiredError, Page, ShardRefusedError, ShardTrimmedError, StreamClient

text = st.text(max_size=8)
numbers = st.integers(-(10**30), 10**30).map(str) | st.just("1.5")
binaries = st.binary(max_size=8).map(lambda raw: base64.b64encode(raw).decode())
scalars = st.one_of(
    st.builds(lambda v: {"S": v}, text),
    st.builds(lambda v: {"N": v}, numbers),
    st.builds(lambda v: {"B": v}, binaries),
    st.builds(lambda v: {"BOOL": v}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda v: {"SS": v}, st.lists(text, min_size=1, max_size=3)),
    st.builds(lambda v: {"NS": v}, st.lists(numbers, min_size=1, max_size=3)),
    st.builds(lambda v: {"BS": v}, st.lists(binaries, min_size=1, max_size=3)),
)
attributes = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(lambda v: {"L": v}, st.lists(inner, max_size=3)),
        st.builds(lambda v: {"M": v}, st.dictionaries(text, inner, max_size=3)),
    ),
    max_leaves=8,
)
images = st.dictionaries(text, attributes, max_size=4)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record as it stands in the service's JSON."""
    record: dict[str, Any] = {
        "eventID": draw(text),
        "eventName": draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"])),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": draw(st.integers(1_500_000_000, 1_900_000_000)),
            "Keys": draw(images),
            "SequenceNumber": str(draw(st.integers(1, 10**40))),
            "SizeBytes": draw(st.integers(0, 400_000)),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    for name in ("NewImage", "OldImage"):
        if draw(st.booleans()):
            record["dynamodb"][name] = draw(images)
    if draw(st.booleans()):
        record["userIdentity"] = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    return record


class Answers:
    """Answers every call of a client with one body, in place of the network."""

    def __init__(self, client: Any) -> None:
        self.status, self.body = 200, b"{}"
        client.meta.events.register("before-send", self)

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        body = self.body

        class Raw:
            def stream(self, *_: Any, **__: Any) -> Any:
                yield body

        return AWSResponse(request.url, self.status, {"content-length": str(len(body))}, Raw())


def aws() -> AwsClients:
    return AwsClients(
        AwsSettings.model_validate(
            {
                "region": "eu-west-1",
                "endpoints": {"dynamodb": "http://127.0.0.1:1", "dynamodbstreams": "http://127.0.0.1:1"},
                "access_key_id": "a",
                "secret_access_key": "b",
            }
        )
    )


CLIENTS = aws()
FAST = StreamClient(CLIENTS, now_ms=lambda: 0)
FAST_ANSWERS = Answers(CLIENTS.client("dynamodbstreams"))
STOCK = boto3.client(
    "dynamodbstreams",
    region_name="eu-west-1",
    endpoint_url="http://127.0.0.1:1",
    aws_access_key_id="a",
    aws_secret_access_key="b",
)
STOCK_ANSWERS = Answers(STOCK)


def ask(body: bytes, status: int = 200) -> Page:
    FAST_ANSWERS.body, FAST_ANSWERS.status = body, status
    return FAST.records("iterator", 1_000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(), max_size=3), st.none() | text)
def test_it_equals_the_stock_parser(found: list[dict[str, Any]], token: str | None) -> None:
    """Law: records, next iterator and nesting are equal; the creation time is the same moment as a number."""
    answer: dict[str, Any] = {"Records": found}
    if token is not None:
        answer["NextShardIterator"] = token
    body = json.dumps(answer).encode()
    STOCK_ANSWERS.body = body
    stock = STOCK.get_records(ShardIterator="iterator")
    page = ask(body)
    assert page.next_token == stock.get("NextShardIterator")
    assert page.bytes == len(body)
    for record in page.records:
        data = record["dynamodb"]
        data["ApproximateCreationDateTime"] = datetime.fromtimestamp(data["ApproximateCreationDateTime"], UTC)
    for record in stock["Records"]:
        moment = record["dynamodb"]["ApproximateCreationDateTime"]
        record["dynamodb"]["ApproximateCreationDateTime"] = moment.astimezone(UTC)
    assert page.records == stock["Records"]


@pytest.mark.parametrize(
    "code,expected",
    [
        ("ExpiredIteratorException", IteratorExpiredError),
        ("TrimmedDataAccessException", ShardTrimmedError),
        ("ResourceNotFoundException", ShardRefusedError),
    ],
)
def test_errors_stay_those_of_botocore(code: str, expected: type[Exception]) -> None:
    """What is no 200 is parsed by botocore, and becomes an error with a meaning."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()
    with pytest.raises(expected):
        ask(body, 400)
