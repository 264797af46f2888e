"""Tables with a stream, as the tests of a change feed need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.aws import AwsClients, AwsSettings
from feed.local.dynamodb import DynamoDbLocal
from feed.local.shards import ShardControl
from feed.testing.names import unique_name
from schemas.errors import ConfigError

REGION = "eu-west-1"


def aws_settings(endpoint: str, *services: str) -> AwsSettings:
    """Settings for a stand-in at ``endpoint``; any account does."""
    names = services or ("dynamodb", "dynamodbstreams")
    return AwsSettings.model_validate(
        {
            "region": REGION,
            "endpoints": dict.fromkeys(names, endpoint),
            "access_key_id": "local",
            "secret_access_key": "local-secret",
        }
    )


def create_table(
    aws: AwsClients,
    name: str,
    *,
    key: str = "orderId",
    sort_key: str | None = None,
    key_types: Mapping[str, str] | None = None,
) -> str:
    """A table with a stream of new and old images; returns the stream's ARN.

    ``key_types`` has DynamoDB's type (S, N, B) of key attributes that are no text.
    """
    types = key_types or {}
    keys = [(key, "HASH"), *([(sort_key, "RANGE")] if sort_key else [])]
    table = aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": attribute, "KeyType": kind} for attribute, kind in keys],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": types.get(attribute, "S")} for attribute, _ in keys
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(table["TableDescription"]["LatestStreamArn"])


@dataclass(frozen=True, slots=True)
class Table:
    """A table made for one test."""

    name: str
    stream_arn: str
    aws: AwsClients


@dataclass(frozen=True, slots=True)
class RollingTable:
    """A table whose shards a test can roll, split and age."""

    name: str
    stream_arn: str
    aws: AwsClients
    shards: ShardControl


def new_table(
    endpoint: str, *, key: str = "orderId", sort_key: str | None = None, key_types: Mapping[str, str] | None = None
) -> Table:
    """A new table at ``endpoint``, under a name that no other test has."""
    aws = AwsClients(aws_settings(endpoint))
    name = unique_name("table")
    return Table(name, create_table(aws, name, key=key, sort_key=sort_key, key_types=key_types), aws)


def new_rolling_table(server: DynamoDbLocal, *, key: str = "orderId", sort_key: str | None = None) -> RollingTable:
    """A new table on a server that keeps its tables in a file.

    Raises:
        ConfigError: the server keeps them in memory.
    """
    if server.database is None:
        raise ConfigError("Shards cannot be rolled in memory.", hint="Start DynamoDB Local with on_disk=True.")
    table = new_table(server.endpoint, key=key, sort_key=sort_key)
    return RollingTable(table.name, table.stream_arn, table.aws, ShardControl(server.database, table.stream_arn))
