"""The shape of ``feed.yaml``: sections defined by the layers that use them, put together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from connectors.aws import AwsSettings
from connectors.kafka import KafkaSettings
from connectors.registry import RegistrySettings
from schemas.settings import Settings

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
"""A short lower-case name: it becomes part of topic, group and transactional ids."""


class TableSettings(Settings):
    """The DynamoDB table that is the source of truth."""

    name: str
    """The table's name, the same in every region of a global table."""
    region: Name
    """Which of ``regions`` holds the table whose stream is read."""
    key: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    """Its primary key: the partition key's attribute, then the sort key's where there is one."""
    image_schema: str
    """The Avro schema of its items: the name of a bundled one (``order``) or the path of an ``.avsc`` file."""
    time_attribute: str | None = None
    """A number attribute with the time of the write in milliseconds; without it, delays are measured from capture."""
    version_attribute: str | None = None
    """A number attribute that grows with every write of an item; look-ups in a replica are compared by it."""
    region_attribute: str | None = None
    """A text attribute with the AWS region that wrote the item (global tables): such changes are marked with it."""


class TopicSettings(Settings):
    """The topic of changes, the same in every region."""

    partitions: Annotated[int, Field(ge=1, le=1000)] = 8
    """Partitions, the same in every region and for good: another number would send a key elsewhere."""
    slots: Annotated[int, Field(ge=1, le=256)] = 8
    """Partitions of the positions topic: how many workers can share the stream's shards. Resized by ``feed slots``."""
    max_message_bytes: Annotated[int, Field(ge=1_048_576)] = 4 * 1024 * 1024
    """Largest batch a broker takes: two images of DynamoDB's 400 KB fit."""


class RegionSettings(Settings):
    """One region: its Kafka cluster and its AWS services."""

    kafka: KafkaSettings
    """The region's Kafka cluster."""
    aws: AwsSettings
    """The region's AWS services."""
    replication_factor: Annotated[int, Field(ge=1)] = 3
    """Replicas of every topic of the feed in this region."""
    min_insync_replicas: Annotated[int, Field(ge=1)] = 2
    """Replicas that must have a record before it counts as written."""
    retention_hours: Annotated[int, Field(ge=1)] | None = None
    """How long changes are kept: by event time at the source (default 168), from arrival at a mirror's target (24)."""

    @model_validator(mode="after")
    def _writable(self) -> RegionSettings:
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas ({self.min_insync_replicas}) is more than replication_factor "
                f"({self.replication_factor}): nothing could ever be written"
            )
        return self


class MirrorSettings(Settings):
    """One flow of MirrorMaker 2: from the table's region to another."""

    target: Name
    """The region that gets the copy; MirrorMaker runs there."""
    tasks: Annotated[int, Field(ge=1)] = 4
    """Copying tasks; no more than partitions are of use."""
    source_bootstrap_servers: str | None = None
    """How the target region reaches the source's brokers, where that is not ``regions.<source>.kafka``'s address."""
    metrics_url: str | None = None
    """Where its process serves its metrics (``http://host:9404/metrics``), for ``feed mirror status``."""


class TelemetrySettings(Settings):
    """Where a process serves ``/metrics``, ``/healthz`` and ``/readyz``."""

    host: str = "127.0.0.1"
    """Address to bind; ``0.0.0.0`` in a container."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port to bind; 0 takes a free one, which the log names."""


class SchemaSettings(Settings):
    """How events are written."""

    framing: Literal["single-object", "confluent", "glue"] = "single-object"
    """The bytes before the Avro payload; readers understand all three at once."""
    registry: RegistrySettings = RegistrySettings()
    """Where schemas are kept: the package itself needs no registry; the other two framings need theirs."""
