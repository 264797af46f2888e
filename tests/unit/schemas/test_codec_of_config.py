"""The codec that a feed.yaml names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from feed.config import FeedConfig, parse_config
from feed.run.codec import codec_of
from schemas.errors import ConfigError


def _config(**table: Any) -> FeedConfig:
    region = {"aws": {"region": "eu-west-1"}, "kafka": {"bootstrap_servers": "b:9092"}}
    given = {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"} | table
    document = {"feed": "orders", "table": given, "regions": {"eu": region}}
    return parse_config(yaml.safe_dump(document), variables={})


def test_a_feed_gets_the_codec_of_its_schema() -> None:
    """The bundled name is enough, without any registry."""
    assert codec_of(_config()).schema["name"] == "OrderChange"


def test_the_schemas_key_is_the_tables() -> None:
    """A schema with another key than the table's would partition wrongly: refused before anything starts."""
    with pytest.raises(ConfigError, match=r"has the key \['orderId'\], table.key is \['id', 'at'\]"):
        codec_of(_config(key=["id", "at"]))


def test_a_schema_file_that_is_missing_is_told() -> None:
    """A wrong path ends in a sentence."""
    with pytest.raises(ConfigError, match="cannot be read"):
        codec_of(_config(image_schema="nowhere.avsc"))
