"""Flows and clusters as values."""

import pytest

from mirrormaker import Cluster, Flow, ScramAuth
from schemas.errors import ConfigError

EU, US = Cluster("eu", "eu:9092"), Cluster("us", "us:9092")


def test_only_changes_and_control_are_copied() -> None:
    """Positions, dead letters and replays stay in the source region."""
    flow = Flow(EU, US, ("orders", "my.feed"))
    assert flow.topics == ("orders", "orders.control", "my.feed", "my.feed.control")


def test_patterns_match_only_the_names_themselves() -> None:
    """A dot in a topic's name is a dot, not any character."""
    flow = Flow(EU, US, ("my.feed",))
    assert flow.topic_patterns == (r"my\.feed", r"my\.feed\.control")
    assert flow.group_patterns == (r"my\.feed\..*",)


@pytest.mark.parametrize("feeds", [(), ("two words",), ("a,b",)])
def test_feeds_that_cannot_be_topics_are_refused(feeds: tuple[str, ...]) -> None:
    """A flow without a feed, or with a name that Kafka refuses, is a fault with a hint."""
    with pytest.raises(ConfigError) as caught:
        Flow(EU, US, feeds)
    assert caught.value.hint


def test_a_cluster_cannot_be_copied_onto_itself() -> None:
    """Source and target differ."""
    with pytest.raises(ConfigError):
        Flow(EU, EU, ("orders",))


@pytest.mark.parametrize("name", ["", "EU", "e u", "a->b", "eu."])
def test_an_alias_that_would_break_keys_is_refused(name: str) -> None:
    """An alias becomes a prefix of keys, so it is small letters, digits and hyphens."""
    with pytest.raises(ConfigError):
        Cluster(name, "x:9092")


def test_a_password_in_clear_is_refused() -> None:
    """Only a config-provider expression is taken, and the message does not repeat the secret."""
    with pytest.raises(ConfigError) as caught:
        ScramAuth("mirror", "hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint
