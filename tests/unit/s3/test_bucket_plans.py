"""What a bucket needs, told before it is done; and objects written in parts."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.s3 import BucketSpec, ObjectStore, PutOutcome, apply_bucket_plan, plan_expiring_bucket
from connectors.s3.multipart import PART_BYTES
from connectors.s3.plans import PRIVATE, wanted_rule
from schemas.errors import ConfigError, RetryableError
from tests.unit.s3.test_create_only import Answers, refusal

SPEC = BucketSpec("archive", "eu-west-1", expire_days=90, expire_prefix="archive")


class Bucket:
    """A client of a bucket with a state."""

    def __init__(self, **state: Any) -> None:
        self.state = state
        self.changed: list[str] = []

    def head_bucket(self, **_: Any) -> dict[str, Any]:
        if self.state.get("absent"):
            raise refusal("404", 404)
        return {}

    def create_bucket(self, **_: Any) -> dict[str, Any]:
        self.changed.append("create")
        self.state["absent"] = False
        return {}

    def get_public_access_block(self, **_: Any) -> dict[str, Any]:
        if "private" not in self.state:
            raise refusal("NoSuchPublicAccessBlockConfiguration", 404)
        return {"PublicAccessBlockConfiguration": self.state["private"]}

    def put_public_access_block(self, **asked: Any) -> dict[str, Any]:
        self.changed.append("private")
        self.state["private"] = asked["PublicAccessBlockConfiguration"]
        return {}

    def get_bucket_lifecycle_configuration(self, **_: Any) -> dict[str, Any]:
        if "rules" not in self.state:
            raise refusal("NoSuchLifecycleConfiguration", 404)
        return {"Rules": self.state["rules"]}

    def put_bucket_lifecycle_configuration(self, **asked: Any) -> dict[str, Any]:
        self.changed.append("lifecycle")
        self.state["rules"] = asked["LifecycleConfiguration"]["Rules"]
        return {}

    def get_bucket_versioning(self, **_: Any) -> dict[str, Any]:
        return {"Status": "Enabled"} if self.state.get("versions") else {}

    def get_object_lock_configuration(self, **_: Any) -> dict[str, Any]:
        if not self.state.get("lock"):
            raise refusal("ObjectLockConfigurationNotFoundError", 404)
        return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}


def applied(bucket: Bucket) -> list[str]:
    """What a plan and its application change."""
    plan = plan_expiring_bucket(bucket, SPEC)  # type: ignore[arg-type]  # a double
    assert bucket.changed == []
    apply_bucket_plan(plan)
    return bucket.changed


@pytest.mark.parametrize(
    "bucket",
    [
        Bucket(absent=True),
        Bucket(),
        Bucket(private={**PRIVATE, "BlockPublicAcls": False}, rules=[{**wanted_rule(SPEC), "Expiration": {"Days": 7}}]),
    ],
)
def test_a_bucket_is_brought_to_its_plan_once(bucket: Bucket) -> None:
    """Absent, bare or wrong: after one application nothing is left to do."""
    assert {"private", "lifecycle"} <= set(applied(bucket))
    assert plan_expiring_bucket(bucket, SPEC).steps == ()  # type: ignore[arg-type]  # a double
    assert bucket.state["rules"] == [wanted_rule(SPEC)]


def test_rules_of_others_stay() -> None:
    """A lifecycle is replaced as a whole by S3: what others put there is put back."""
    other = {"ID": "reports", "Status": "Enabled", "Filter": {"Prefix": "reports/"}, "Expiration": {"Days": 3}}
    bucket = Bucket(private=PRIVATE, rules=[other])
    assert applied(bucket) == ["lifecycle"]
    assert bucket.state["rules"] == [other, wanted_rule(SPEC)]


@pytest.mark.parametrize("state", ["versions", "lock"])
def test_a_bucket_that_keeps_everything_is_refused(state: str) -> None:
    """Where an expiry would only hide objects, nothing is changed."""
    bucket = Bucket(**{state: True})
    with pytest.raises(ConfigError):
        applied(bucket)
    assert bucket.changed == []


def test_what_the_server_lacks_is_said() -> None:
    """501 for the block of public access is a note, not a fault."""
    bucket = Bucket(rules=[wanted_rule(SPEC)])

    def lacking(**_: Any) -> dict[str, Any]:
        raise refusal("NotImplemented", 501)

    bucket.get_public_access_block = lacking  # type: ignore[method-assign]  # a server that lacks it
    plan = plan_expiring_bucket(bucket, SPEC)  # type: ignore[arg-type]  # a double
    assert (plan.steps, plan.refused, len(plan.notes)) == ((), (), 1)


BIG = bytes(PART_BYTES) + b"end"
CREATED = {"UploadId": "u"}


def put_big(*answers: Exception | dict[str, Any]) -> tuple[PutOutcome, list[dict[str, Any]]]:
    """Write a body of two parts against a client with these answers."""
    client = Answers(*answers)
    store = ObjectStore(client, "bucket", sleep=lambda seconds: None, jitter=lambda: 1.0)  # type: ignore[arg-type]  # a double
    return store.put_create_only("a", BIG, {"n": "1"}), client.requests


def test_a_large_object_goes_in_parts_and_is_created_once() -> None:
    """From 8 MiB on: parts in order, and the completion bears If-None-Match."""
    outcome, requests = put_big(refusal("404", 404), CREATED, {"ETag": "1"}, {"ETag": "2"}, {})
    assert outcome is PutOutcome.CREATED
    assert [request["call"] for request in requests] == [
        "head_object",
        "create_multipart_upload",
        "upload_part",
        "upload_part",
        "complete_multipart_upload",
    ]
    assert requests[1]["Metadata"] == {"n": "1"}
    assert [len(request["Body"]) for request in requests[2:4]] == [PART_BYTES, 3]
    assert requests[4]["IfNoneMatch"] == "*"


def test_a_large_object_whose_name_is_taken_meanwhile_is_not_overwritten() -> None:
    """412 from the completion: the upload is aborted and the name told as taken."""
    taken = refusal("PreconditionFailed", 412)
    outcome, requests = put_big(refusal("404", 404), CREATED, {"ETag": "1"}, {"ETag": "2"}, taken)
    assert outcome is PutOutcome.EXISTS
    assert requests[-1]["call"] == "abort_multipart_upload"


def test_a_completion_that_took_effect_though_its_answer_was_lost_is_seen() -> None:
    """The upload is known no more and the object is there: it exists; what is in it, the caller compares."""
    gone = refusal("NoSuchUpload", 404)
    there = {"ContentLength": 1, "LastModified": None}
    outcome, _ = put_big(refusal("404", 404), CREATED, {"ETag": "1"}, {"ETag": "2"}, gone, {}, there)
    assert outcome is PutOutcome.EXISTS


def test_a_part_that_fails_is_retryable_and_aborts() -> None:
    """A server that is busy leaves no open upload behind."""
    with pytest.raises(RetryableError):
        put_big(refusal("404", 404), CREATED, refusal("SlowDown", 503))
