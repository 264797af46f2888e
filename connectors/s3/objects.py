"""One bucket as a store of objects that are written once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import AwsClients, aws_error_code, aws_error_of
from connectors.put_calls import PutCalls
from connectors.s3.multipart import PART_BYTES, put_in_parts
from schemas.errors import RetryableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_CONFLICTS: Final = 6
"""Tries of one create-only PUT that meets another writer in the act (409); with the back-off below, about 6 s."""

CONFLICT_BACKOFF_S: Final = 0.1
"""First wait after a 409; doubles, with full jitter."""

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS: Final = frozenset({"412", "PreconditionFailed"})
_CONFLICT: Final = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_GONE_UPLOAD: Final = "NoSuchUpload"
"""An upload in parts that is known no more: its completion took effect and the answer got lost, or it was aborted."""


class PutOutcome(StrEnum):
    """How a create-only PUT ended."""

    CREATED = "created"
    EXISTS = "exists"
    """The name is taken: by this very body (an answer that got lost, a crash before the commit) or by another."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object without its body."""

    key: str
    size: int
    modified_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata; empty in listings, which S3 answers without it."""
    retain_until: datetime | None = None
    """Until when Object Lock refuses to delete this version; None in listings, and where it is not locked."""
    lock_mode: str = ""
    """``COMPLIANCE``, ``GOVERNANCE`` or empty."""
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with its body."""

    head: ObjectHead
    body: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a name in a versioned bucket, or a delete marker that hides the others."""

    key: str
    version_id: str
    latest: bool
    delete_marker: bool
    size: int
    modified_at: datetime


class ObjectStore:
    """A bucket. Safe to use from several threads (boto3's clients are).

    Args:
        client: a boto3 S3 client with bounded time-outs and retries (``AwsClients.client("s3")``).
        bucket: its name.
        puts: how small objects are created at less cost; without it all goes through ``client``.
        sleep: waits between the tries of a PUT that met another writer, seconds.
        jitter: a number from 0 to 1 for each wait.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        puts: PutCalls | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.client = client
        self.bucket = bucket
        self._puts = puts
        self._sleep = sleep
        self._jitter = jitter

    @classmethod
    def writing(cls, aws: AwsClients, bucket: str) -> Self:
        """The bucket for a sink that writes many small objects."""
        return cls(aws.client("s3"), bucket, puts=aws.put_calls())

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> PutOutcome:
        """Write ``body`` under ``key`` unless the name is taken (``If-None-Match: *``); in parts from 8 MiB on.

        Args:
            key: the name.
            body: the content.
            metadata: user metadata, at most 2 KB in all (S3's bound).
            retain_until: locks this version in COMPLIANCE mode until then; nobody, root included, can shorten it.
            content_type: MIME type.

        Raises:
            RetryableError: the service is away, or another writer stayed in the act; whether it was written is unknown,
                and trying again finds out.
        """
        created = self._puts and self._puts.create(
            self.bucket, key, body, metadata or {}, content_type=content_type, retain_until=retain_until
        )
        if created is not None:
            return PutOutcome.CREATED if created else PutOutcome.EXISTS
        create: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": key,
            "Metadata": dict(metadata or {}),
            "ContentType": content_type,
        }
        if retain_until is not None:
            create |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": retain_until}
        for attempt in range(MAX_CONFLICTS):
            try:
                return self._put(create, body)
            except ClientError as error:
                code = aws_error_code(error)
                if code in _EXISTS:
                    return PutOutcome.EXISTS
                if code == _GONE_UPLOAD and self.head(key) is not None:
                    return PutOutcome.EXISTS
                if code not in _CONFLICT and code != _GONE_UPLOAD:
                    raise aws_error_of(error, f"writing {self.url(key)}") from error
                self._sleep(CONFLICT_BACKOFF_S * 2**attempt * self._jitter())
            except BotoCoreError as error:
                raise aws_error_of(error, f"writing {self.url(key)}") from error
        raise RetryableError(
            f"another writer of {self.url(key)} was in the act at each of {MAX_CONFLICTS} tries",
            hint="two consumers write the same partition; the next try shows whose object stands",
        )

    def _put(self, create: dict[str, Any], body: bytes) -> PutOutcome:
        if len(body) < PART_BYTES:
            self.client.put_object(**create, Body=body, IfNoneMatch="*")
            return PutOutcome.CREATED
        if self.head(create["Key"]) is not None:  # the completion decides; this spares sending it all in vain
            return PutOutcome.EXISTS
        put_in_parts(self.client, create, body)
        return PutOutcome.CREATED

    def get(self, key: str, *, version_id: str = "") -> StoredObject | None:
        """The object (its latest version by default), or None when there is none."""
        try:
            chosen: dict[str, Any] = {"VersionId": version_id} if version_id else {}
            answer = self.client.get_object(Bucket=self.bucket, Key=key, **chosen)
            body = answer["Body"].read()
        except ClientError as error:
            if aws_error_code(error) in _MISSING:
                return None
            raise aws_error_of(error, f"reading {self.url(key)}") from error
        except BotoCoreError as error:
            raise aws_error_of(error, f"reading {self.url(key)}") from error
        return StoredObject(_head_of(key, answer), body)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """``length`` bytes of the object from ``start`` on (fewer at its end); None when there is no such object."""
        if length <= 0:
            return b""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")
            return answer["Body"].read()
        except ClientError as error:
            if aws_error_code(error) in _MISSING:
                return None
            raise aws_error_of(error, f"reading {self.url(key)}") from error
        except BotoCoreError as error:
            raise aws_error_of(error, f"reading {self.url(key)}") from error

    def head(self, key: str, *, version_id: str = "") -> ObjectHead | None:
        """Size, metadata and lock of the object, or None when there is none."""
        try:
            chosen: dict[str, Any] = {"VersionId": version_id} if version_id else {}
            answer = self.client.head_object(Bucket=self.bucket, Key=key, **chosen)
        except ClientError as error:
            if aws_error_code(error) in _MISSING:
                return None
            raise aws_error_of(error, f"looking at {self.url(key)}") from error
        except BotoCoreError as error:
            raise aws_error_of(error, f"looking at {self.url(key)}") from error
        return _head_of(key, answer)

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        """Names under ``prefix`` that sort after ``start_after``, with sizes, in the store's own order.

        The order is not promised: S3 sorts by UTF-8 bytes, other servers directory by directory.
        """
        after: dict[str, Any] = {"StartAfter": start_after} if start_after else {}
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **after)
            for page in pages:
                for entry in page.get("Contents", []):
                    yield ObjectHead(entry["Key"], entry["Size"], entry["LastModified"])
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"listing {self.url(prefix)}") from error

    def folders(self, prefix: str) -> Iterator[str]:
        """The folders directly under ``prefix`` (which ends with ``/``), each with its closing ``/``, in no order.

        One request for a thousand folders, however many objects they hold.
        """
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for entry in page.get("CommonPrefixes", []):
                    yield entry["Prefix"]
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"listing {self.url(prefix)}") from error

    def version_folders(self, prefix: str) -> Iterator[str]:
        """As :meth:`folders`, also those in which every object is hidden behind a delete marker."""
        try:
            pages = self.client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for entry in page.get("CommonPrefixes", []):
                    yield entry["Prefix"]
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"listing the versions of {self.url(prefix)}") from error

    def list_with_heads(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        """As :meth:`list`, with each object's metadata and lock: one more request for each."""
        for entry in self.list(prefix, start_after=start_after):
            found = self.head(entry.key)
            if found is not None:
                yield found

    def versions(self, prefix: str, *, start_after: str = "") -> Iterator[Version]:
        """All versions and delete markers under ``prefix``, each once (some servers repeat entries), in no order.

        Args:
            prefix: of the names.
            start_after: only names that sort after it.
        """
        seen: set[tuple[str, str]] = set()
        after: dict[str, Any] = {"KeyMarker": start_after} if start_after else {}
        pages = self.client.get_paginator("list_object_versions")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, **after):
                found = [
                    *(_version_of(entry, entry["Size"]) for entry in page.get("Versions", [])),
                    *(_version_of(entry, None) for entry in page.get("DeleteMarkers", [])),
                ]
                for version in found:
                    if (version.key, version.version_id) not in seen:
                        seen.add((version.key, version.version_id))
                        yield version
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"listing the versions of {self.url(prefix)}") from error

    def url(self, key: str) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"


def _head_of(key: str, answer: Any) -> ObjectHead:
    return ObjectHead(
        key=key,
        size=answer["ContentLength"],
        modified_at=answer["LastModified"],
        metadata=answer.get("Metadata", {}),
        retain_until=answer.get("ObjectLockRetainUntilDate"),
        lock_mode=answer.get("ObjectLockMode", ""),
        version_id=answer.get("VersionId", ""),
    )


def _version_of(entry: Any, size: int | None) -> Version:
    return Version(
        key=entry["Key"],
        version_id=entry["VersionId"],
        latest=entry["IsLatest"],
        delete_marker=size is None,
        size=size or 0,
        modified_at=entry["LastModified"],
    )
