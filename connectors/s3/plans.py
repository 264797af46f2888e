"""What a bucket needs to be as it must be: shown before it is done, done as often as you like."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_code, aws_error_of
from connectors.s3.buckets import NOT_OFFERED, BucketSpec, create_bucket
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RULE: Final = "expire"
"""Id of our lifecycle rule; rules with other ids are left as they are."""

PRIVATE: Final = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

_ABSENT: Final = frozenset({"404", "NoSuchBucket", "NotFound"})
_UNSET: Final = frozenset(
    {
        "NoSuchLifecycleConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "NoSuchPublicAccessBlockConfiguration",
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a bucket."""

    what: str
    """In words."""
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """What is to be done with a bucket, and what stands in the way."""

    bucket: str
    steps: tuple[Step, ...] = ()
    refused: tuple[str, ...] = ()
    """What this command never changes, since it would lose or keep data against someone's will."""
    notes: tuple[str, ...] = ()
    """What the server does not offer."""


def plan_expiring_bucket(client: S3Client, spec: BucketSpec) -> BucketPlan:
    """What a bucket needs so that its objects expire after ``spec.expire_days`` days. Asks, and changes nothing.

    A bucket with Object Lock or versioning is refused: an expiry only hides objects there, and they are paid for ever.

    Raises:
        RetryableError: S3 is away.
    """
    if not _exists(client, spec.name):
        days = f"objects under {spec.expire_prefix!r} expire after {spec.expire_days} days"
        return BucketPlan(
            spec.name,
            (
                Step(f"create the bucket in {spec.region}", lambda: create_bucket(client, spec)),
                Step("block public access", lambda: _make_private(client, spec.name)),
                Step(f"lifecycle: {days}", lambda: _put_rules(client, spec.name, [wanted_rule(spec)])),
            ),
        )
    steps: list[Step] = []
    notes: list[str] = []
    private = _ask(lambda: client.get_public_access_block(Bucket=spec.name), "reading the block of public access")
    if private is None:
        notes.append("the S3 server offers no block of public access")
    elif private.get("PublicAccessBlockConfiguration") != PRIVATE:
        steps.append(Step("block public access", lambda: _make_private(client, spec.name)))
    rules = _ask(lambda: client.get_bucket_lifecycle_configuration(Bucket=spec.name), "reading the lifecycle")
    if rules is None:
        notes.append("the S3 server offers no lifecycle: nothing expires")
    else:
        steps += _lifecycle_steps(client, spec, rules.get("Rules", []))
    return BucketPlan(spec.name, tuple(steps), tuple(_obstacles(client, spec.name)), tuple(notes))


def apply_bucket_plan(plan: BucketPlan) -> None:
    """Do the steps.

    Raises:
        ConfigError: the plan was refused; nothing was changed.
    """
    if plan.refused:
        raise ConfigError(plan.refused[0], hint="nothing was changed", faults=plan.refused)
    for step in plan.steps:
        try:
            step.do()
        except (ClientError, BotoCoreError) as error:
            if aws_error_code(error) in NOT_OFFERED:
                _log.info("the S3 server does not offer it, left out bucket=%s step=%s", plan.bucket, step.what)
                continue
            raise aws_error_of(error, f"{step.what} ({plan.bucket})") from error


def wanted_rule(spec: BucketSpec) -> dict[str, Any]:
    """The lifecycle rule: objects expire, and parts of uploads that a killed process left open are removed."""
    return {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": spec.expire_prefix},
        "Expiration": {"Days": spec.expire_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def _lifecycle_steps(client: S3Client, spec: BucketSpec, rules: list[Any]) -> list[Step]:
    wanted = wanted_rule(spec)
    mine = next((rule for rule in rules if rule.get("ID") == RULE), None)
    if mine is not None and all(mine.get(name) == value for name, value in wanted.items()):
        return []
    others = [rule for rule in rules if rule.get("ID") != RULE]
    was = f"{mine.get('Expiration', {}).get('Days')} days now" if mine is not None else "no rule now"
    what = f"lifecycle: objects under {spec.expire_prefix!r} expire after {spec.expire_days} days ({was})"
    if others:
        what += f"; {len(others)} other rules stay"
    return [Step(what, lambda: _put_rules(client, spec.name, [*others, wanted]))]


def _obstacles(client: S3Client, name: str) -> list[str]:
    found = []
    versioning = _ask(lambda: client.get_bucket_versioning(Bucket=name), "reading the versioning")
    if versioning is not None and versioning.get("Status") == "Enabled":
        found.append(f"the bucket {name} keeps versions: what expires is only hidden, and kept for ever")
    lock = _ask(lambda: client.get_object_lock_configuration(Bucket=name), "reading the Object Lock")
    if lock is not None and lock.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled":
        found.append(f"the bucket {name} has Object Lock: it is one for the audit log, not for what expires")
    return found


def _exists(client: S3Client, name: str) -> bool:
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if aws_error_code(error) in _ABSENT:
            return False
        raise aws_error_of(error, f"looking for the bucket {name}") from error
    except BotoCoreError as error:
        raise aws_error_of(error, f"looking for the bucket {name}") from error
    return True


def _ask(question: Callable[[], Any], doing: str) -> dict[str, Any] | None:
    """The answer; empty when nothing is set; None when the server does not offer it."""
    try:
        answer: dict[str, Any] = question()
    except ClientError as error:
        if aws_error_code(error) in _UNSET:
            return {}
        if aws_error_code(error) in NOT_OFFERED:
            return None
        raise aws_error_of(error, doing) from error
    except BotoCoreError as error:
        raise aws_error_of(error, doing) from error
    return answer


def _make_private(client: S3Client, name: str) -> None:
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={**PRIVATE})  # type: ignore[typeddict-item]  # the keys are literal above


def _put_rules(client: S3Client, name: str, rules: list[Any]) -> None:
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
