"""What a user gets when something is wrong: one clear sentence and a hint, within the bound, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.aws import AwsClients
from feed.config import parse_config
from feed.local import DynamoDbLocal, free_port
from feed.run.topics import apply_topics
from feed.testing import create_table
from feed.testing.regions import KafkaBroker
from feed.testing.tables import aws_settings

pytestmark = pytest.mark.integration

BOUND_S = 120
"""A second on an idle machine; a hang is what it finds, on a busy one and with nothing compiled yet, too."""
FEED = Path(sys.executable).with_name("feed")


def raw_config(bootstrap: str, dynamodb: str, feed: str, table: str) -> dict[str, Any]:
    return {
        "feed": feed,
        "table": {"name": table, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "regions": {
            "eu": {
                "kafka": {"bootstrap_servers": bootstrap},
                "aws": {
                    "region": "eu-west-1",
                    "endpoints": {"dynamodb": dynamodb, "dynamodbstreams": dynamodb, "s3": "http://127.0.0.1:9"},
                    "access_key_id": "local",
                    "secret_access_key": "local-secret",
                },
                "replication_factor": 1,
                "min_insync_replicas": 1,
            }
        },
        "consumers": {"audit": {"kind": "audit", "region": "eu", "sink": {"bucket": "audit"}}},
    }


@pytest.fixture
def good(kafka_broker: KafkaBroker, dynamodb_local: DynamoDbLocal, unique_name: Callable[[str], str]) -> dict[str, Any]:
    """A configuration whose topics and table exist."""
    name = unique_name("bad-input")
    raw = raw_config(kafka_broker.bootstrap, dynamodb_local.endpoint, name, name)
    create_table(AwsClients(aws_settings(dynamodb_local.endpoint)), name)
    apply_topics(parse_config(yaml.safe_dump(raw), variables={}))
    return raw


def run(raw: dict[str, Any], folder: Path, *arguments: str, path: str | None = None) -> tuple[int, str]:
    """Run the command as a user does; what it printed, which must come within the bound and hold no traceback."""
    file = folder / "feed.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    done = subprocess.run(
        [FEED, *arguments, "-c", file] if "demo" not in arguments else [FEED, *arguments],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
        cwd=folder,
        env={"HOME": str(folder), "PATH": path or "/usr/bin:/bin", "COLUMNS": "200"},
    )
    said = done.stderr + done.stdout
    assert "Traceback" not in said
    assert "hint" in said
    return done.returncode, said


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    """A misspelt key ends with its line and what was meant."""
    raw = raw_config("127.0.0.1:9", "http://127.0.0.1:9", "orders", "orders")
    raw["topic"] = {"partitons": 4}
    code, said = run(raw, tmp_path, "config", "check")
    assert code == 2
    assert "unknown key topic.partitons: did you mean 'partitions'?" in said


@pytest.mark.parametrize("command", [("run", "producer"), ("run", "consumer", "audit"), ("topics", "apply")])
def test_an_unreachable_broker_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    """Nobody at the bootstrap address ends with the region and the address."""
    address = f"127.0.0.1:{free_port()}"
    code, said = run(raw_config(address, "http://127.0.0.1:9", "orders", "orders"), tmp_path, *command)
    assert code == 2
    assert f"no Kafka broker of region eu answers at {address}" in said


@pytest.mark.parametrize(
    "command, missing", [(("run", "producer"), "orders-x"), (("run", "consumer", "audit"), "orders-x")]
)
def test_a_missing_topic_is_named(command: tuple[str, ...], missing: str, good: dict[str, Any], tmp_path: Path) -> None:
    """A feed without topics ends with the first one and how to create it."""
    code, said = run({**good, "feed": missing}, tmp_path, *command)
    assert code == 2
    assert f"topic {missing} does not exist in region eu" in said
    assert "feed topics apply" in said


def test_a_missing_table_is_named(good: dict[str, Any], tmp_path: Path) -> None:
    """A table that is not there ends with its name and its region."""
    raw = {**good, "table": {**good["table"], "name": "nowhere"}}
    code, said = run(raw, tmp_path, "run", "producer")
    assert code == 2
    assert "table nowhere does not exist in region eu (eu-west-1)" in said


def test_a_table_without_a_stream_says_how_to_enable_it(
    good: dict[str, Any], dynamodb_local: DynamoDbLocal, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    """No stream, or one without images, ends with the command that enables it."""
    name = unique_name("streamless")
    AwsClients(aws_settings(dynamodb_local.endpoint)).client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    raw = {**good, "table": {**good["table"], "name": name}}
    code, said = run(raw, tmp_path, "run", "producer")
    assert code == 2
    assert f"table {name} has no stream" in said
    assert "StreamEnabled=true" in said


def test_a_key_that_is_not_the_schemas_is_named(good: dict[str, Any], tmp_path: Path) -> None:
    """A table.key that is not the image schema's ends with both."""
    raw = {**good, "table": {**good["table"], "key": ["id"]}}
    code, said = run(raw, tmp_path, "run", "producer")
    assert code == 2
    assert "['orderId']" in said
    assert "table.key is ['id']" in said


def test_a_key_that_is_not_the_tables_is_named(
    good: dict[str, Any], dynamodb_local: DynamoDbLocal, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    """A table with another key than table.key ends with both."""
    name = unique_name("other-key")
    create_table(AwsClients(aws_settings(dynamodb_local.endpoint)), name, key="id")
    code, said = run({**good, "table": {**good["table"], "name": name}}, tmp_path, "run", "producer")
    assert code == 2
    assert f"table {name} has the key ['id'], not ['orderId']" in said


def test_an_unknown_consumer_is_answered_with_the_known_ones(good: dict[str, Any], tmp_path: Path) -> None:
    """A consumer that feed.yaml does not have ends with those it has."""
    code, said = run(good, tmp_path, "run", "consumer", "audti")
    assert code == 2
    assert "no consumer 'audti'" in said
    assert "known: audit" in said


def test_java_absent_says_what_to_install(tmp_path: Path) -> None:
    """Where there is no Java and it cannot be installed, the demo ends with the package's name."""
    code, said = run({}, tmp_path, "demo", path=str(tmp_path))
    assert code == 2
    assert "Java 17 or later is needed" in said
    assert "openjdk" in said
