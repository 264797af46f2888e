"""The object store's answers to S3's, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from connectors.s3 import BucketSpec, ObjectStore, PutOutcome, ensure_bucket
from schemas.errors import ConfigError, FatalError, RetryableError


def refusal(code: str, status: int) -> ClientError:
    """An error as botocore raises it."""
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # all that is read
        "PutObject",
    )


class Answers:
    """A client that answers each call with the next of a list; everything else with nothing."""

    def __init__(self, *answers: Exception | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> dict[str, Any]:
            self.requests.append({"call": name, **request})
            answer = self.answers.pop(0) if self.answers else {}
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def store_on(client: Answers) -> ObjectStore:
    """A store that does not wait."""
    return ObjectStore(client, "bucket", sleep=lambda seconds: None, jitter=lambda: 1.0)  # type: ignore[arg-type]  # a double


def test_every_put_is_create_only() -> None:
    """No PUT leaves without If-None-Match, and a lock is asked for in COMPLIANCE mode."""
    client = Answers()
    until = datetime(2027, 1, 1, tzinfo=UTC)
    assert store_on(client).put_create_only("a", b"x", {"n": "1"}, retain_until=until) is PutOutcome.CREATED
    (request,) = client.requests
    assert request["IfNoneMatch"] == "*"
    assert (request["ObjectLockMode"], request["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)


def test_conflict_is_tried_again_and_existence_is_told() -> None:
    """409 says that another writer is in the act, 412 that the name is taken: only the first is tried again."""
    client = Answers(refusal("ConditionalRequestConflict", 409), refusal("PreconditionFailed", 412))
    assert store_on(client).put_create_only("a", b"x") is PutOutcome.EXISTS
    assert len(client.requests) == 2


def test_conflicts_are_bounded() -> None:
    """A writer that never gets out of the way is a retryable error, not an endless loop."""
    client = Answers(*[refusal("ConditionalRequestConflict", 409)] * 100)
    with pytest.raises(RetryableError):
        store_on(client).put_create_only("a", b"x")
    assert len(client.requests) == 6


@pytest.mark.parametrize(
    "error,expected",
    [
        (refusal("SlowDown", 503), RetryableError),
        (refusal("InternalError", 500), RetryableError),
        (ReadTimeoutError(endpoint_url="http://s3"), RetryableError),
        (refusal("NoSuchBucket", 404), FatalError),
    ],
)
def test_errors_are_of_the_tree(error: Exception, expected: type[Exception]) -> None:
    """Busy, broken and silent may pass; a bucket that is not there does not."""
    with pytest.raises(expected):
        store_on(Answers(error)).put_create_only("a", b"x")


def test_a_bucket_without_lock_is_refused() -> None:
    """A bucket that exists without Object Lock cannot become an audit bucket."""
    client = Answers(refusal("BucketAlreadyOwnedByYou", 409), refusal("ObjectLockConfigurationNotFoundError", 404))
    with pytest.raises(ConfigError, match="no Object Lock"):
        ensure_bucket(client, BucketSpec("b", "eu-west-1", object_lock=True))  # type: ignore[arg-type]  # a double


def test_what_a_server_does_not_offer_is_left_out() -> None:
    """501 for the block of public access and the lifecycle does not stop the start."""
    client = Answers({}, refusal("NotImplemented", 501), refusal("NotImplemented", 501))
    ensure_bucket(client, BucketSpec("b", "us-east-1", expire_days=90))  # type: ignore[arg-type]  # a double
    assert [request["call"] for request in client.requests] == [
        "create_bucket",
        "put_public_access_block",
        "put_bucket_lifecycle_configuration",
    ]
    assert "CreateBucketConfiguration" not in client.requests[0]
