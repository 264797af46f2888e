"""What must be true before a process starts: asked once, bounded, and said in a sentence when it is not."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import AwsClients, aws_error_code
from connectors.kafka import KafkaClients, describe_topics
from connectors.registry import image_schema
from feed.config import FeedConfig
from schemas.errors import ConfigError
from schemas.key import key_faults

STREAM_VIEW = "NEW_AND_OLD_IMAGES"


def check_topics(config: FeedConfig, region: str, clients: KafkaClients, names: tuple[str, ...]) -> None:
    """The cluster answers and has the topics.

    Raises:
        ConfigError: it does not.
    """
    clients.check(region)
    states = describe_topics(clients.admin(), names)
    missing = [name for name in names if name not in states]
    if missing:
        faults = tuple(f"topic {name} does not exist in region {region}" for name in missing)
        # Kafka shows a topic only to those who may describe it
        hint = "create it with `feed topics apply`; if it is there, this role may not see it: `feed rights`"
        raise ConfigError(faults[0], hint=hint, faults=faults)
    found = states.get(config.feed)
    if found and found.partitions != config.topic.partitions:
        raise ConfigError(
            f"topic {config.feed} in region {region} has {found.partitions} partitions, not {config.topic.partitions}",
            hint="set topic.partitions to what the topic has: a changed count would send keys elsewhere",
        )


def check_table(config: FeedConfig, aws: AwsClients) -> Mapping[str, str]:
    """The table exists, has the configured key, and a stream with both images.

    Returns:
        DynamoDB's type (S, N or B) of each key attribute.

    Raises:
        ConfigError: it does not.
    """
    name, region = config.table.name, config.table.region
    try:
        table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        if aws_error_code(error) == "ResourceNotFoundException":
            raise ConfigError(
                f"table {name} does not exist in region {region} ({aws.settings.region})",
                hint="check table.name and regions.*.aws.region in feed.yaml",
            ) from error
        raise ConfigError(f"table {name} cannot be described: {error}", hint="check the role's policy") from error
    except BotoCoreError as error:
        raise ConfigError(
            f"DynamoDB of region {region} ({aws.settings.region}) does not answer: {error}",
            hint="check credentials, network and regions.*.aws.endpoints in feed.yaml",
        ) from error
    kinds = {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]}
    in_order = tuple(sorted(kinds, key=lambda attribute: kinds[attribute] != "HASH"))
    if in_order != config.table.key:
        raise ConfigError(
            f"table {name} has the key {list(in_order)}, not {list(config.table.key)}",
            hint="correct table.key in feed.yaml",
        )
    stream = table.get("StreamSpecification", {})
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") != STREAM_VIEW:
        view = stream.get("StreamViewType") if stream.get("StreamEnabled") else "no stream"
        raise ConfigError(
            f"table {name} has {view}, but the feed needs a stream with view type {STREAM_VIEW}",
            hint=f"aws dynamodb update-table --table-name {name} --stream-specification "
            f"StreamEnabled=true,StreamViewType={STREAM_VIEW}",
        )
    return {definition["AttributeName"]: definition["AttributeType"] for definition in table["AttributeDefinitions"]}


def check_key(config: FeedConfig, types: Mapping[str, str]) -> None:
    """The schema's key fields can hold what the table's key attributes are.

    Raises:
        ConfigError: one cannot; every record would be a dead letter.
    """
    table = config.table
    if faults := key_faults(image_schema(table.image_schema), types):
        raise ConfigError(
            f"table {table.name}: {faults[0]}",
            hint=f"correct the field in {table.image_schema}; a table's key cannot be changed",
            faults=tuple(f"table {table.name}: {fault}" for fault in faults),
        )
