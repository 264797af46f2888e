"""The codec that a configuration names."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.registry import open_codec
from feed.config import FeedConfig
from schemas.codec import ChangeCodec
from schemas.errors import ConfigError


def codec_of(config: FeedConfig) -> ChangeCodec:
    """The codec of the feed's table, its framing and its registry.

    Raises:
        ConfigError: the schema, the key, the framing and the registry do not fit together.
        RetryableError: the registry does not answer and its cache is cold.
    """
    codec = open_codec(
        config.table.image_schema,
        config.feed,
        framing=config.schemas.framing,
        settings=config.schemas.registry,
        glue_client=lambda: AwsClients(config.source.aws).client("glue"),
    )
    if codec.key_attributes != config.table.key:
        raise ConfigError(
            f"the schema {config.table.image_schema} has the key {list(codec.key_attributes)}, "
            f"table.key is {list(config.table.key)}",
            hint='the property "key" of the .avsc and table.key name the same attributes, partition key first',
        )
    return codec
