"""What a filter may not leave out is told when the configuration is read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from feed.config import FeedConfig, masked, parse_config
from producers.stream import Condition
from schemas.errors import ConfigError


def parsed(producer_filter: dict[str, Any], **table: Any) -> FeedConfig:
    raw = {
        "feed": "orders",
        "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order", **table},
        "regions": {"eu": {"aws": {"region": "eu-west-1"}, "kafka": {"bootstrap_servers": "b:9092"}}},
        "producer": {"filter": producer_filter},
    }
    return parse_config(yaml.safe_dump(raw, sort_keys=False), variables={})


def test_a_condition_is_read_from_yaml() -> None:
    """Nested groups and tests, and it can be shown again."""
    where = {"any": [{"attribute": "status", "one_of": ["paid", 3]}, {"none": [{"attribute": "test", "exists": True}]}]}
    config = parsed({"where": where, "omit": ["secret"]})
    assert config.producer.filter.where == Condition.model_validate(where)
    assert masked(config)["producer"]["filter"]["omit"] == ["secret"]


@pytest.mark.parametrize(
    "omitted, said",
    [("orderId", "table.key"), ("at", "table.time_attribute"), ("n", "table.version_attribute")],
)
def test_what_consumers_rest_on_cannot_be_omitted(omitted: str, said: str) -> None:
    """The key, the time and the version of an item."""
    with pytest.raises(ConfigError, match=f"'{omitted}' is {said} and cannot be left out"):
        parsed({"omit": ["secret", omitted]}, time_attribute="at", version_attribute="n")


def test_a_filter_by_region_needs_an_attribute_that_names_it() -> None:
    """DynamoDB does not say where a write came from."""
    with pytest.raises(ConfigError, match=r"needs table\.region_attribute"):
        parsed({"only_written_in": "eu-west-1"})
    assert parsed({"only_written_in": "eu-west-1"}, region_attribute="writer").producer.filter.active


def test_a_condition_that_says_two_things_is_refused_with_its_line() -> None:
    """One sentence, with the place in the file."""
    with pytest.raises(
        ConfigError, match=r"feed\.yaml:\d+: producer\.filter\.where: the test of an attribute is one of"
    ):
        parsed({"where": {"attribute": "a", "equals": 1, "less": 2}})
