"""The configuration: what it accepts, and how it says what it does not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from feed.config import load_config, masked, parse_config, revealed, topic_specs
from schemas.errors import ConfigError

GOOD = {
    "feed": "orders",
    "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
    "regions": {
        "eu": {
            "aws": {"region": "eu-west-1"},
            "kafka": {
                "bootstrap_servers": "b-1:9096",
                "auth": {"kind": "scram", "username": "feed", "password": "${PASSWORD}"},
            },
        },
        "us": {"aws": {"region": "us-east-1"}, "kafka": {"bootstrap_servers": "b-2:9092"}},
    },
    "mirrors": [{"target": "us"}],
}
VARIABLES = {"PASSWORD": "hush-hush"}


def faults_of(raw: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(yaml.safe_dump(raw, sort_keys=False), variables=VARIABLES)
    return caught.value.faults


def changed(path: str, value: object) -> dict[str, object]:
    raw = copy.deepcopy(GOOD)
    *way, last = path.split(".")
    node: object = raw
    for part in way:
        node = node[int(part)] if isinstance(node, list) else node[part]  # type: ignore[index]
    node[last] = value  # type: ignore[index]
    return raw


def test_secrets_are_filled_from_the_environment_and_never_shown() -> None:
    """A password comes from ``${…}``, is masked when shown and absent from every representation."""
    config = parse_config(yaml.safe_dump(GOOD), variables=VARIABLES)
    assert "hush-hush" not in repr(config)
    assert "hush-hush" not in str(masked(config))
    assert masked(config)["regions"]["eu"]["kafka"]["auth"]["password"] == "********"
    assert revealed(config)["regions"]["eu"]["kafka"]["auth"]["password"] == "hush-hush"


def test_what_is_revealed_can_be_loaded_again() -> None:
    """The effective values of a configuration are a configuration with the same effective values."""
    config = parse_config(yaml.safe_dump(GOOD), variables=VARIABLES)
    again = parse_config(yaml.safe_dump(revealed(config)), variables={})
    assert again == config


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("table.image_shema", "order", "unknown key table.image_shema: did you mean 'image_schema'?"),
        (
            "regions.eu.kafka.bootstrap_server",
            "x",
            "unknown key regions.eu.kafka.bootstrap_server: did you mean 'bootstrap_servers'?",
        ),
        ("regions.eu.kafka.auth.pasword", "x", "did you mean 'password'?"),
        ("mirrors.0.tarmget", "us", "did you mean 'target'?"),
        ("table.region", "eux", "table.region 'eux' is not one of regions (eu, us)"),
        ("mirrors", [{"target": "eu"}], "is the table's own region"),
        ("mirrors", [{"target": "us"}, {"target": "us"}], "named twice"),
        ("topic", {"partitions": 0}, "topic.partitions: input should be greater than or equal to 1"),
        ("regions.us.replication_factor", 1, "nothing could ever be written"),
        ("regions.us.kafka.client_overrides", {"acks": "1"}, "acks may not be overridden"),
        ("feed", "Orders!", "string should match pattern"),
    ],
)
def test_each_fault_is_one_sentence_with_its_place(path: str, value: object, said: str) -> None:
    """A wrong setting is named with its line and what to write instead."""
    faults = faults_of(changed(path, value))
    assert len(faults) == 1
    assert faults[0].startswith("feed.yaml:")
    assert said in faults[0]


def test_all_faults_are_said_at_once_with_the_lines_they_stand_on() -> None:
    """Two faults give two sentences, each with the line of its own key."""
    text = yaml.safe_dump(GOOD, sort_keys=False).replace("name: orders", "nam: orders")
    with pytest.raises(ConfigError) as caught:
        parse_config(text, variables=VARIABLES)
    line = text.splitlines().index("  nam: orders") + 1
    assert any(
        fault == f"feed.yaml:{line}: unknown key table.nam: did you mean 'name'?" for fault in caught.value.faults
    )
    assert any("table.name is missing" in fault for fault in caught.value.faults)


def test_an_unset_variable_is_a_fault_and_a_default_is_not() -> None:
    """``${NAME}`` must be set; ``${NAME:-default}`` need not."""
    with pytest.raises(ConfigError, match="PASSWORD is not set"):
        parse_config(yaml.safe_dump(GOOD), variables={})
    raw = changed("regions.eu.kafka.auth.password", "${PASSWORD:-fallback}")
    auth = parse_config(yaml.safe_dump(raw), variables={}).regions["eu"].kafka.auth
    assert auth.password.get_secret_value() == "fallback"  # type: ignore[union-attr]


def test_a_dollar_written_twice_is_itself() -> None:
    """``$${…}`` is no variable: it stands for the text, and what is revealed can be loaded again."""
    raw = changed("regions.eu.kafka.auth.username", "$${orderId}-${PASSWORD}")
    config = parse_config(yaml.safe_dump(raw), variables=VARIABLES)
    assert config.regions["eu"].kafka.auth.username == "${orderId}-hush-hush"  # type: ignore[union-attr]
    assert parse_config(yaml.safe_dump(revealed(config)), variables={}) == config


@pytest.mark.parametrize("text, said", [("a: [", "not YAML"), ("", "holds no settings"), ("- 1", "holds no settings")])
def test_a_file_that_is_no_configuration_says_so(text: str, said: str) -> None:
    """Broken or empty YAML ends in a sentence, not in a traceback."""
    with pytest.raises(ConfigError, match=said):
        parse_config(text, variables={})


def test_an_absent_file_says_how_to_name_one(tmp_path: Path) -> None:
    """A missing feed.yaml names the file and the option."""
    with pytest.raises(ConfigError, match="cannot read") as caught:
        load_config(tmp_path / "none.yaml")
    assert "--config" in caught.value.hint


def test_topics_keep_their_promises() -> None:
    """Event time and seven days at the source, arrival and 24 hours at a target, the same partitions in both."""
    config = parse_config(yaml.safe_dump(GOOD), variables=VARIABLES)
    eu = {spec.name: spec for spec in topic_specs(config, "eu")}
    us = {spec.name: spec for spec in topic_specs(config, "us")}
    assert set(eu) == {"orders", "orders.control", "orders.positions", "orders.snapshot", "orders.dead-letter"}
    assert set(us) == {"orders", "orders.control", "orders.mirror-audit"}
    assert eu["orders"].partitions == us["orders"].partitions
    assert eu["orders"].config["message.timestamp.type"] == "CreateTime"
    assert us["orders"].config["message.timestamp.type"] == "LogAppendTime"
    assert eu["orders"].config["retention.ms"] == str(7 * 24 * 3_600_000)
    assert us["orders"].config["retention.ms"] == str(24 * 3_600_000)
    assert eu["orders.positions"].config["cleanup.policy"] == "compact"
    assert eu["orders.positions"].partitions == config.topic.slots


def test_the_file_for_msk_is_a_configuration() -> None:
    """deploy/feed.yaml loads as it stands, and nothing in it lets a client in without IAM."""
    file = Path(__file__).parents[3] / "deploy" / "feed.yaml"
    config = parse_config(file.read_text(encoding="utf-8"), variables={})
    assert {region.kafka.auth.kind for region in config.regions.values()} == {"iam"}
    assert set(config.consumers) == {"warehouse", "audit", "archive", "analytics"}


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    """A binary file by mistake is a sentence, not a traceback."""
    file = tmp_path / "feed.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        load_config(file)
