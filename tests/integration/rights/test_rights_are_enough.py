"""`feed rights`, held against a broker that refuses whatever is not allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from typer.testing import CliRunner

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.kafka import Grant, KafkaClients, KafkaSettings
from connectors.s3 import BucketSpec, ensure_bucket
from connectors.telemetry import Telemetry
from consumers.warehouse.sink import KEY
from feed.cli import app
from feed.config import FeedConfig, parse_config
from feed.local import Broker, DynamoDbLocal, ObjectStore, Site
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.rights import process_names
from feed.rights.kafka import kafka_grants
from feed.rights.processes import process_named
from feed.run.consumer import run_consumer
from feed.run.preflight import check_topics
from feed.run.process import Process
from feed.run.producer import run_producers
from feed.testing import create_table, unique_name, until
from schemas.errors import ConfigError
from tests.integration.producers.producer_bench import order

pytestmark = pytest.mark.integration

FEED = "orders"
USERS = ("producer", "snapshot", "topics", "look", "consumer-warehouse", "consumer-archive", "nobody")
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required "
BROKER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # who comes by the listeners without a login: the test itself, and the broker
    "allow.everyone.if.no.acl.found": "false",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT",
    "listener.name.users.sasl.enabled.mechanisms": "PLAIN",
    "listener.name.users.plain.sasl.jaas.config": LOGIN + " ".join(f'user_{user}="secret"' for user in USERS) + ";",
}
OPERATIONS = {
    "Alter": AclOperation.ALTER,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "IdempotentWrite": AclOperation.IDEMPOTENT_WRITE,
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
}
RESOURCES = {
    "cluster": ResourceType.BROKER,
    "group": ResourceType.GROUP,
    "topic": ResourceType.TOPIC,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


@pytest.fixture
def broker(local_site: Site) -> Iterator[Broker]:
    settings = local_site.settings
    java, jars = require_java(install=settings.install_missing), kafka_jars(settings)
    broker = Broker(unique_name("acl"), local_site, java=java, jars=jars, listeners=["USERS"], properties=BROKER)
    try:
        broker.start()
        broker.wait_ready()
        yield broker
    finally:
        broker.finish()


@pytest.fixture
def feed_as(
    broker: Broker, dynamodb_local: DynamoDbLocal, s3_server: ObjectStore, tmp_path: Path
) -> Callable[[str], Path]:
    """The feed's file, with the login of a process."""
    name = unique_name("rights")
    aws = {
        "region": "eu-west-1",
        "endpoints": {
            "dynamodb": dynamodb_local.endpoint,
            "dynamodbstreams": dynamodb_local.endpoint,
            "s3": s3_server.endpoint,
        },
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    quick = {"commit_interval_ms": 100, "poll_interval_ms": 20, "replay_look_interval_ms": 200}
    raw: dict[str, Any] = {
        "feed": FEED,
        "table": {"name": name, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "topic": {"partitions": 2, "slots": 2},
        "consumers": {
            "warehouse": {"kind": "warehouse", "region": "eu", "runtime": quick, "sink": {"table": f"{name}-picks"}},
            "archive": {
                "kind": "archive",
                "region": "eu",
                "runtime": quick,
                "sink": {"bucket": name, "open_ms": 100, "grace_ms": 0},
            },
        },
    }

    def write(user: str) -> Path:
        login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
        login |= {"sasl.username": user, "sasl.password": "secret"}
        kafka = {"bootstrap_servers": broker.addresses["users"], "client_overrides": login}
        region = {"kafka": kafka, "aws": aws, "replication_factor": 1, "min_insync_replicas": 1}
        file = tmp_path / f"{user}.yaml"
        file.write_text(yaml.safe_dump({**raw, "regions": {"eu": region}}))
        return file

    clients = AwsClients(config_of(write("nobody")).source.aws)
    create_table(clients, name)
    create_effect_table(clients.client("dynamodb"), f"{name}-picks", KEY)
    ensure_bucket(clients.client("s3"), BucketSpec(name, "eu-west-1"))
    return write


def config_of(file: Path) -> FeedConfig:
    return parse_config(file.read_text(), variables={})


def allow(admin: AdminClient, user: str, grants: tuple[Grant, ...]) -> None:
    bindings = []
    for grant in grants:
        for name in grant.names or ("kafka-cluster",):
            pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
            bindings += [
                AclBinding(
                    RESOURCES[grant.kind],
                    name.removesuffix("*"),
                    pattern,
                    f"User:{user}",
                    "*",
                    OPERATIONS[operation],
                    AclPermissionType.ALLOW,
                )
                for operation in grant.operations
            ]
    for answer in admin.create_acls(bindings).values():
        answer.result(20)


@contextmanager
def running(run: Callable[[Process], None], name: str) -> Iterator[Process]:
    """A process on a thread; whatever it raises fails the test."""
    process = Process(name, Telemetry(name))
    failed: list[BaseException] = []

    def body() -> None:
        try:
            run(process)
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        yield process
    finally:
        process.stop.set()
        thread.join(30)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def command(file: Path, *words: str) -> str:
    ended = CliRunner().invoke(app, [*words, "-c", str(file)])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_every_process_works_with_its_rights_and_no_others(broker: Broker, feed_as: Callable[[str], Path]) -> None:
    """Topics are made, changes and a first load flow into both kinds of sinks, and an operator sees it all."""
    config = config_of(feed_as("nobody"))
    admin = KafkaClients(KafkaSettings(bootstrap_servers=broker.bootstrap), client_id="test").admin()
    assert set(process_names(config)) | {"nobody"} == set(USERS)
    for user in process_names(config):
        allow(admin, user, kafka_grants(config, process_named(config, user))["eu"])

    command(feed_as("topics"), "topics", "apply")
    assert "nothing to do" in command(feed_as("topics"), "topics", "plan")
    dynamodb = AwsClients(config.source.aws).client("dynamodb")
    picks = EffectTable(dynamodb, f"{config.table.name}-picks")

    def pick(name: str) -> Any:
        return picks.get({KEY: {"S": name}}, consistent=True)

    dynamodb.put_item(TableName=config.table.name, Item=order("o-1", 1))
    with (
        running(lambda process: run_producers([config_of(feed_as("producer"))], process), "producer"),
        running(lambda process: run_consumer(config_of(feed_as("consumer-warehouse")), "warehouse", process), "w"),
        running(lambda process: run_consumer(config_of(feed_as("consumer-archive")), "archive", process), "a"),
    ):
        until(lambda: pick("o-1"), "the first pick", within_s=40)
        dynamodb.put_item(TableName=config.table.name, Item=order("o-2", 1))
        until(lambda: pick("o-2"), "another pick", within_s=20)
        command(feed_as("snapshot"), "snapshot")
        s3 = AwsClients(config.source.aws).client("s3")
        until(lambda: s3.list_objects_v2(Bucket=config.table.name).get("KeyCount", 0) > 1, "archived runs", within_s=20)
        assert "finished" in command(feed_as("look"), "slots", "show") or "reading" in command(
            feed_as("look"), "slots", "show"
        )
        command(feed_as("look"), "gaps")
        command(feed_as("look"), "dead-letters", "list")
    with pytest.raises(ConfigError):
        check_topics(config, "eu", KafkaClients(config.source.kafka, client_id="nobody"), (FEED,))
