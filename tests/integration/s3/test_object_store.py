"""The object store against the real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import (
    BucketSpec,
    ObjectStore,
    PutOutcome,
    apply_bucket_plan,
    ensure_bucket,
    plan_expiring_bucket,
)
from feed.local import ObjectStore as S3Server
from schemas.errors import ConfigError, RetryableError

pytestmark = pytest.mark.integration


@pytest.fixture
def clients(s3_server: S3Server) -> AwsClients:
    """Clients as the product builds them."""
    return AwsClients(
        AwsSettings.model_validate(
            {
                "region": "eu-west-1",
                "endpoints": {"s3": s3_server.endpoint},
                "access_key_id": s3_server.access_key_id,
                "secret_access_key": s3_server.secret_access_key,
            }
        )
    )


@pytest.fixture
def bucket_name(unique_name: Callable[[str], str]) -> str:
    """A name that no bucket has."""
    return unique_name("store").replace("_", "-")


def test_a_name_is_written_once(clients: AwsClients, bucket_name: str) -> None:
    """A second PUT of a name is told that it exists, and the first content stands."""
    ensure_bucket(clients.client("s3"), BucketSpec(bucket_name, "eu-west-1"))
    store = ObjectStore(clients.client("s3"), bucket_name)
    assert store.put_create_only("a/1", b"first", {"count": "1"}) is PutOutcome.CREATED
    assert store.put_create_only("a/1", b"second") is PutOutcome.EXISTS
    stored = store.get("a/1")
    assert stored is not None
    assert stored.body == b"first"
    assert stored.head.metadata == {"count": "1"}
    assert store.get("a/2") is None
    assert store.head("a/2") is None


def test_a_large_object_is_written_once_in_parts(clients: AwsClients, bucket_name: str) -> None:
    """Two parts, metadata and lock; a second writer learns that the name is taken; no upload stays open."""
    s3 = clients.client("s3")
    ensure_bucket(s3, BucketSpec(bucket_name, "eu-west-1", object_lock=True))
    store = ObjectStore(s3, bucket_name)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    body = bytes(range(256)) * 40_000
    assert store.put_create_only("a/large", body, {"n": "1"}, retain_until=until) is PutOutcome.CREATED
    assert store.put_create_only("a/large", b"x" + body) is PutOutcome.EXISTS
    stored = store.get("a/large")
    assert stored is not None
    assert stored.body == body
    assert (stored.head.metadata, stored.head.lock_mode, stored.head.retain_until) == ({"n": "1"}, "COMPLIANCE", until)
    assert store.get_range("a/large", 300, 3) == body[300:303]
    assert store.get_range("a/none", 0, 3) is None


def test_an_archive_bucket_is_brought_to_its_plan(clients: AwsClients, bucket_name: str) -> None:
    """Created with its lifecycle, then nothing is left to do; a bucket that keeps versions is refused."""
    s3 = clients.client("s3")
    spec = BucketSpec(bucket_name, "eu-west-1", expire_days=90, expire_prefix="archive")
    plan = plan_expiring_bucket(s3, spec)
    assert len(plan.steps) == 3
    apply_bucket_plan(plan)
    again = plan_expiring_bucket(s3, spec)
    assert (again.steps, again.refused) == ((), ())
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket_name)["Rules"]
    assert [(rule["Expiration"]["Days"], rule["Filter"]["Prefix"]) for rule in rules] == [(90, "archive")]
    locked = f"{bucket_name}-l"
    ensure_bucket(s3, BucketSpec(locked, "eu-west-1", object_lock=True))
    with pytest.raises(ConfigError):
        apply_bucket_plan(plan_expiring_bucket(s3, BucketSpec(locked, "eu-west-1", expire_days=90)))


def test_of_many_writers_of_a_name_one_wins(clients: AwsClients, bucket_name: str) -> None:
    """Eight writers at once: exactly one creates the object, the others learn that it exists."""
    ensure_bucket(clients.client("s3"), BucketSpec(bucket_name, "eu-west-1"))
    store = ObjectStore(clients.client("s3"), bucket_name)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda n: store.put_create_only("a", b"%d" % n), range(8)))
    assert sorted(outcomes) == [PutOutcome.CREATED, *[PutOutcome.EXISTS] * 7]


def test_listing_begins_after_a_name(clients: AwsClients, bucket_name: str) -> None:
    """Names after a given one are listed, with their sizes, over several pages as well."""
    ensure_bucket(clients.client("s3"), BucketSpec(bucket_name, "eu-west-1"))
    store = ObjectStore(clients.client("s3"), bucket_name)
    for number in range(12):
        store.put_create_only(f"p/{number:03d}", b"x" * number, {"n": str(number)})
    found = [(head.key, head.size) for head in store.list("p/", start_after="p/008")]
    assert sorted(found) == [("p/009", 9), ("p/010", 10), ("p/011", 11)]
    assert [head.metadata["n"] for head in store.list_with_heads("p/", start_after="p/010")] == ["11"]


def test_a_locked_version_cannot_be_deleted_and_deletion_is_seen(clients: AwsClients, bucket_name: str) -> None:
    """Object Lock refuses to delete the version; a delete marker hides it and is listed."""
    s3 = clients.client("s3")
    ensure_bucket(s3, BucketSpec(bucket_name, "eu-west-1", object_lock=True))
    store = ObjectStore(s3, bucket_name)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    store.put_create_only("a", b"x", retain_until=until)
    head = store.head("a")
    assert head is not None
    assert (head.lock_mode, head.retain_until) == ("COMPLIANCE", until)
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket_name, Key="a", VersionId=head.version_id)
    s3.delete_object(Bucket=bucket_name, Key="a")
    assert store.get("a") is None
    assert sorted(version.delete_marker for version in store.versions("a")) == [False, True]
    stored = store.get("a", version_id=head.version_id)
    assert stored is not None
    assert stored.body == b"x"


def test_a_bucket_is_made_once_and_checked_after(clients: AwsClients, bucket_name: str) -> None:
    """Bootstrap may run at every start, and a bucket without the lock it needs is refused."""
    s3 = clients.client("s3")
    for _ in range(2):
        ensure_bucket(s3, BucketSpec(bucket_name, "eu-west-1", expire_days=90))
    with pytest.raises(ConfigError, match="no Object Lock"):
        ensure_bucket(s3, BucketSpec(bucket_name, "eu-west-1", object_lock=True))


def test_a_server_that_is_away_is_retryable() -> None:
    """No connection is an error that may pass, whatever the call."""
    clients = AwsClients(
        AwsSettings.model_validate(
            {
                "region": "eu-west-1",
                "endpoints": {"s3": "http://127.0.0.1:9"},
                "access_key_id": "x",
                "secret_access_key": "x",
            }
        )
    )
    store = ObjectStore(clients.client("s3"), "nowhere")
    with pytest.raises(RetryableError):
        store.put_create_only("a", b"x")
    with pytest.raises(RetryableError):
        list(store.list("a"))


def test_a_small_put_stores_what_boto3_stores(clients: AwsClients, bucket_name: str) -> None:
    """Content, type, metadata, checksum and lock are the same either way; a name that is taken is told by both."""
    s3 = clients.client("s3")
    ensure_bucket(s3, BucketSpec(bucket_name, "eu-west-1", object_lock=True))
    lean, boto = ObjectStore.writing(clients, bucket_name), ObjectStore(s3, bucket_name)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    metadata = {"first": "17", "sha256": "ab" * 32}
    name = "a/hour=2026-11-24-10/21 ä+~(1)&'=.parquet"
    stored = []
    for prefix, store in (("lean", lean), ("boto", boto)):
        key = f"{prefix}/{name}"
        assert store.put_create_only(key, b"body" * 99, metadata, retain_until=until) is PutOutcome.CREATED
        assert store.put_create_only(key, b"other") is PutOutcome.EXISTS
        head = s3.head_object(Bucket=bucket_name, Key=key, ChecksumMode="ENABLED")
        told = ("ContentType", "ContentLength", "ETag", "Metadata", "ChecksumCRC32", "ObjectLockMode")
        stored.append([head.get(field) for field in (*told, "ObjectLockRetainUntilDate")])
    assert stored[0] == stored[1]
    assert (stored[0][3], stored[0][5], stored[0][6]) == (metadata, "COMPLIANCE", until)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda n: lean.put_create_only("race", b"%d" % n), range(8)))
    assert sorted(outcomes) == [PutOutcome.CREATED, *[PutOutcome.EXISTS] * 7]
