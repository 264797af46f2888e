"""What each process may do with AWS's services besides Kafka: statements of an IAM policy.

Which action a call needs: AWS's "Service Authorization Reference", https://docs.aws.amazon.com/service-authorization/,
the page of each service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlparse

from connectors.messaging import AnyMessenger, SesSettings, SnsSettings, SqsSettings
from connectors.redshift import RedshiftSettings
from feed.config import FeedConfig
from feed.config.consumers import (
    AnalyticsConsumer,
    ArchiveConsumer,
    AuditConsumer,
    NotificationConsumer,
    WarehouseConsumer,
)
from feed.rights.processes import OfProcess

Statement = dict[str, Any]

OWN_STATEMENTS: Final = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
"""Of the Data API's statements, only those that the same identity has submitted."""

EFFECTS: Final = ("dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:UpdateItem")
"""Of a table that holds a sink's effects, each kept once by a conditional update."""


FILES: Final = ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload")
"""Create-only objects, the large ones in parts; read again to tell a repeat from another's. Nothing is ever deleted."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where things are.

    Attributes:
        account: the AWS account's number.
        region: AWS region, ``eu-west-1``.
    """

    account: str
    region: str

    @property
    def partition(self) -> str:
        """AWS's part of the world: China and GovCloud have their own."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, resource: str) -> str:
        """``arn:aws:dynamodb:eu-west-1:111122223333:table/orders``."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket(self, name: str, under: str = "") -> str:
        """A bucket, or what is in it under a prefix."""
        return f"arn:{self.partition}:s3:::{name}{under}"


def aws_statements(config: FeedConfig, process: OfProcess, account: str) -> list[Statement]:
    """Statements for one process, in the region where it runs.

    Args:
        config: the feed.
        process: whose.
        account: number of the AWS account that has the tables, buckets and queues.
    """
    source = Account(account, config.source.aws.region)
    table = source.arn("dynamodb", f"table/{config.table.name}")
    found: list[Statement] = []
    if process.kind == "producer":
        found.append(_allow("SeeTheTable", ("dynamodb:DescribeTable",), table))
        reading = ("dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords")
        found.append(_allow("ReadTheStream", reading, f"{table}/stream/*"))
        if config.producer.gap_policy == "resnapshot":
            found.append(_allow("ReloadAfterAGap", ("dynamodb:Scan",), table))
    if process.kind == "snapshot":
        found.append(_allow("ReadTheTable", ("dynamodb:DescribeTable", "dynamodb:Scan"), table))
    if process.section is not None:
        region = config.regions[process.section.region].aws.region
        found += _consumer(process, Account(account, region))
    if process.kind in {"producer", "snapshot", "consumer"} and config.schemas.registry.kind == "glue":
        found.append(_registry(config, source))
    return found


def _allow(sid: str, actions: tuple[str, ...], *resources: str, condition: Any = None) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})


def _consumer(process: OfProcess, at: Account) -> Iterator[Statement]:
    match process.section:
        case WarehouseConsumer(sink=sink):
            yield _allow("KeepThePicks", EFFECTS, at.arn("dynamodb", f"table/{sink.table}"))
            if sink.look_up:
                yield _allow(
                    "LookAtTheReplica", ("dynamodb:GetItem",), at.arn("dynamodb", f"table/{sink.look_up.table}")
                )
            if sink.hand_over:
                yield from _messenger(sink.hand_over, at)
        case NotificationConsumer(sink=sink):
            yield _allow("KeepWhatWasSent", EFFECTS, at.arn("dynamodb", f"table/{sink.table}"))
            yield from _messenger(sink.messenger, at)
        case AuditConsumer(sink=sink):
            places = (f"/{sink.prefix}/*", f"/{sink.prefix}-digests/*")
            writing = (*FILES, "s3:PutObjectRetention", "s3:GetObjectVersion")
            yield _allow("WriteTheChain", writing, *(at.bucket(sink.bucket, place) for place in places))
            yield _allow("FindItsHead", ("s3:ListBucket", "s3:ListBucketVersions"), at.bucket(sink.bucket))
            if sink.signing_kms_key:
                key = sink.signing_kms_key
                named = key if key.startswith("arn:") else at.arn("kms", f"key/{key}")
                yield _allow("SignDigests", ("kms:Sign", "kms:GetPublicKey"), named)
            if sink.anchor_table:
                noting = ("dynamodb:GetItem", "dynamodb:UpdateItem")
                yield _allow("NoteTheLastDigest", noting, at.arn("dynamodb", f"table/{sink.anchor_table}"))
        case ArchiveConsumer(sink=sink):
            places = (f"/{sink.prefix}/*", f"/{sink.prefix}-index/*")
            yield _allow("WriteTheArchive", FILES, *(at.bucket(sink.bucket, place) for place in places))
            yield _allow("ListTheArchive", ("s3:ListBucket",), at.bucket(sink.bucket))
        case AnalyticsConsumer(sink=sink, warehouse=warehouse):
            yield _allow("StageFiles", FILES, at.bucket(sink.bucket, f"/{sink.prefix}/*"))
            yield _allow("ListFiles", ("s3:ListBucket",), at.bucket(sink.bucket))
            yield from _redshift(warehouse, at)


def _messenger(messenger: AnyMessenger, at: Account) -> Iterator[Statement]:
    match messenger:
        case SesSettings(sender=sender, configuration_set=configuration):
            address = sender.rpartition("<")[2].rstrip("> ")
            identities = [at.arn("ses", f"identity/{name}") for name in (address, address.rpartition("@")[2])]
            sets = [at.arn("ses", f"configuration-set/{configuration}")] if configuration else []
            yield _allow("SendMail", ("ses:SendEmail",), *identities, *sets)
        case SnsSettings(topic_arn=topic):
            yield _allow("Publish", ("sns:Publish",), topic)
        case SqsSettings(queue_url=url):
            account, _, name = urlparse(url).path.strip("/").rpartition("/")
            queue = Account(account or at.account, at.region)
            yield _allow("HandOver", ("sqs:SendMessage",), queue.arn("sqs", name))


def _redshift(warehouse: RedshiftSettings, at: Account) -> Iterator[Statement]:
    submit = ("redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement")
    follow = ("redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:CancelStatement")
    if warehouse.workgroup:
        # a workgroup's ARN ends in an id that AWS gives it
        place = at.arn("redshift-serverless", "workgroup/*")
        log_in = _allow("LogIn", ("redshift-serverless:GetCredentials",), place)
    else:
        place = at.arn("redshift", f"cluster:{warehouse.cluster}")
        names = [at.arn("redshift", f"dbname:{warehouse.cluster}/{warehouse.database}")]
        if warehouse.db_user:
            names.append(at.arn("redshift", f"dbuser:{warehouse.cluster}/{warehouse.db_user}"))
        action = "redshift:GetClusterCredentials" + ("" if warehouse.db_user else "WithIAM")
        log_in = _allow("LogIn", (action,), *names)
    yield _allow("LoadTheWarehouse", submit, place)
    yield _allow("FollowItsLoads", follow, "*", condition=OWN_STATEMENTS)
    if warehouse.secret_arn:
        log_in = _allow("LogIn", ("secretsmanager:GetSecretValue",), warehouse.secret_arn)
    yield log_in


def _registry(config: FeedConfig, at: Account) -> Statement:
    name = config.schemas.registry.glue_registry
    actions: tuple[str, ...] = ("glue:GetSchema", "glue:GetSchemaVersion")
    if config.schemas.registry.auto_register:
        actions += ("glue:CreateSchema", "glue:RegisterSchemaVersion")
    return _allow("ReadSchemas", actions, at.arn("glue", f"registry/{name}"), at.arn("glue", f"schema/{name}/*"))
