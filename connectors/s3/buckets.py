"""Buckets as the sinks need them: created, versioned, locked, with a lifecycle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_code, aws_error_of
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_OURS: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
NOT_OFFERED: Final = frozenset({"NotImplemented", "501"})
"""How a local server says that it lacks a feature."""


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """What a bucket must be."""

    name: str
    region: str
    object_lock: bool = False
    """Object Lock can only be had from the bucket's creation on; it brings versioning with it."""
    expire_days: int | None = None
    """Objects expire after so many days; None keeps them."""
    expire_prefix: str = ""
    """Only objects under this prefix expire."""


def ensure_bucket(client: S3Client, spec: BucketSpec) -> None:
    """Create the bucket or correct it; may be called at every start, and by several processes at once.

    What a local server does not offer (501) is left out with a line in the log: a lifecycle and the block of public
    access matter on AWS only.

    Raises:
        ConfigError: the bucket is there without Object Lock though it must have it.
        RetryableError: S3 is away.
    """
    create_bucket(client, spec)
    if spec.object_lock and not _is_locked(client, spec.name):
        raise ConfigError(
            f"the bucket {spec.name} has no Object Lock, so what is written to it could be deleted",
            hint="Object Lock is chosen when a bucket is created: name a new bucket, or enable it in the S3 console",
        )
    _call(
        "blocking public access",
        lambda: client.put_public_access_block(
            Bucket=spec.name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        ),
    )
    if spec.expire_days is not None:
        expire_days = spec.expire_days
        _call(
            "setting the lifecycle",
            lambda: client.put_bucket_lifecycle_configuration(
                Bucket=spec.name,
                LifecycleConfiguration={
                    "Rules": [
                        {
                            "ID": "expire",
                            "Status": "Enabled",
                            "Filter": {"Prefix": spec.expire_prefix},
                            "Expiration": {"Days": expire_days},
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                        }
                    ]
                },
            ),
        )


def create_bucket(client: S3Client, spec: BucketSpec) -> None:
    """Create the bucket unless it is there."""
    arguments: dict[str, Any] = {"Bucket": spec.name}
    if spec.region != "us-east-1":  # the one region that refuses to be named
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": spec.region}
    if spec.object_lock:
        arguments["ObjectLockEnabledForBucket"] = True
    try:
        client.create_bucket(**arguments)
        log.info("bucket created name=%s object_lock=%s", spec.name, spec.object_lock)
    except ClientError as error:
        if aws_error_code(error) not in _OURS:
            raise aws_error_of(error, f"creating the bucket {spec.name}") from error
    except BotoCoreError as error:
        raise aws_error_of(error, f"creating the bucket {spec.name}") from error


def _is_locked(client: S3Client, name: str) -> bool:
    try:
        answer = client.get_object_lock_configuration(Bucket=name)
    except ClientError as error:
        if aws_error_code(error) == "ObjectLockConfigurationNotFoundError":
            return False
        raise aws_error_of(error, f"reading the Object Lock of {name}") from error
    except BotoCoreError as error:
        raise aws_error_of(error, f"reading the Object Lock of {name}") from error
    return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


def _call(doing: str, call: Callable[[], object]) -> None:
    """Make an optional call: a server that does not offer it is told apart from one that refuses or fails."""
    try:
        call()
    except ClientError as error:
        if aws_error_code(error) not in NOT_OFFERED:
            raise aws_error_of(error, doing) from error
        log.info("the S3 server does not offer it, left out doing=%s", doing)
    except BotoCoreError as error:
        raise aws_error_of(error, doing) from error
