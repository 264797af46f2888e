"""The operator's commands on a real broker, as they are typed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from connectors.aws import AwsClients
from connectors.dynamodb import create_effect_table
from connectors.kafka import KafkaClients
from consumers.runtime.dead_letters import context_headers
from consumers.runtime.memory import MemoryRecord
from consumers.warehouse import KEY
from feed.cli import app
from feed.config import FeedConfig, parse_config
from feed.local import DynamoDbLocal
from feed.operate.letter_topic import LetterTopic
from feed.operate.retry_change import ChangeRetry, change_of
from feed.run.topics import apply_topics
from feed.testing import aws_settings
from feed.testing.regions import KafkaBroker
from feed.verify.topics import TopicReader
from producers.stream import FeedSource
from schemas import bundled
from schemas.change import Op
from schemas.codec import ChangeCodec
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.errors import ConfigError, FatalError, PoisonError
from schemas.headers import facts_of
from schemas.position import SLOT_KEY, Position, ShardState, SlotRecord
from tests.unit.order_changes import change, order

pytestmark = pytest.mark.integration

CODEC = ChangeCodec.for_image(bundled.load("order"))
NOW_MS = time.time_ns() // 1_000_000

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Feed:
    """A feed with its topics, and the command on its configuration."""

    config: FeedConfig
    file: Path
    kafka: KafkaClients

    @property
    def name(self) -> str:
        return self.config.feed

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "-c", str(self.file)])

    def lines(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*words, "--json").output.splitlines()]

    def write(self, topic: str, rows: Iterable[tuple[bytes, bytes | None, Headers]], *, partition: int = 0) -> None:
        """In a transaction of a slot, behind one that was aborted."""
        producer = self.kafka.transactional_producer(f"{self.name}.slot-7")
        producer.init_transactions(20)
        for end in (producer.abort_transaction, producer.commit_transaction):
            producer.begin_transaction()
            for key, value, headers in rows:
                producer.produce(topic, value, key, partition, headers=headers)
            end(20)


@pytest.fixture
def feed(
    kafka_broker: KafkaBroker, dynamodb_local: DynamoDbLocal, unique_name: Callable[[str], str], tmp_path: Path
) -> Feed:
    name = unique_name("orders")
    aws = aws_settings(dynamodb_local.endpoint)
    create_effect_table(AwsClients(aws).client("dynamodb"), name, KEY)
    endpoint = dynamodb_local.endpoint
    raw = {
        "feed": name,
        "table": {"name": name, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "regions": {
            "eu": {
                "kafka": {"bootstrap_servers": kafka_broker.bootstrap},
                "aws": {
                    "region": "eu-west-1",
                    "endpoints": {"dynamodb": endpoint, "s3": "http://127.0.0.1:9"},
                    "access_key_id": "local",
                    "secret_access_key": "local-secret",
                },
                "replication_factor": 1,
                "min_insync_replicas": 1,
            }
        },
        "consumers": {
            "warehouse": {"kind": "warehouse", "region": "eu", "sink": {"table": name}},
            "audit": {"kind": "audit", "region": "eu", "sink": {"bucket": "audit"}},
        },
    }
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(raw))
    config = parse_config(file.read_text(), variables={})
    apply_topics(config)
    return Feed(config, file, KafkaClients(config.source.kafka, client_id="test"))


def test_gaps_are_listed_and_told_by_the_exit_code(feed: Feed) -> None:
    """0 and a sentence without one; 1 and the event, once though a transaction with it was aborted."""
    ended = feed.run("gaps")
    assert (ended.exit_code, "no gap events" in ended.output) == (0, True)
    lost = ControlEvent(
        ControlKind.GAP, feed.name, NOW_MS, shard="shardId-1", sequence=10**39, certain=False, reason="the shard is [x]"
    )
    other = ControlEvent(ControlKind.SHARD_START, feed.name, NOW_MS, shard="shardId-1")
    feed.write(f"{feed.name}.control", [(b"shardId-1", encode_control(event), []) for event in (other, lost)])
    assert feed.run("gaps", "--region", "eu").exit_code == 1
    (said,) = feed.lines("gaps")
    assert (said["shard"], said["last_read"], said["certain"]) == ("shardId-1", str(10**39), False)
    assert isinstance(feed.run("gaps", "--region", "us").exception, ConfigError)


def test_slots_show_what_is_written_and_who_has_them(feed: Feed) -> None:
    """Positions of committed transactions; the member of the group while there is one, nobody before."""
    topic = f"{feed.name}.positions"
    held = Position("shardId-1", "arn", ShardState.READING, at_ms=NOW_MS, held="the shard is unlisted")
    records = [(held.key, held.to_json(), []), (SLOT_KEY, SlotRecord(3, "arn", NOW_MS).to_json(), [])]
    feed.write(topic, records, partition=2)
    ended = feed.run("slots", "show")
    assert ended.exit_code == 0, ended.output
    assert "slot 2 holds shardId-1: the shard is unlisted" in ended.output
    assert "nobody" in ended.output
    member = feed.kafka.group_consumer(f"{feed.name}.producer")
    try:
        member.subscribe([topic])
        deadline = time.monotonic() + 30
        while not member.assignment() and time.monotonic() < deadline:
            member.poll(0.1)
        (document,) = [json.loads(feed.run("slots", "show", "--json").output)]
    finally:
        member.close()
    assert (document["group"]["state"], document["group"]["fault"]) == ("stable", "")
    assert {slot["owner"].split(" at ")[0] for slot in document["slots"]} == {"test"}
    slot = document["slots"][2]
    assert (slot["epoch"], slot["states"], slot["latest_at_ms"]) == (3, {"reading": 1}, NOW_MS)


def stream_letter(ordinal: int, key: str = "o-1", total: Any = "1") -> tuple[bytes, bytes, Headers]:
    image = {
        "orderId": {"S": key},
        "status": {"S": "created"},
        "revision": {"N": "1"},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": {"N": total} if isinstance(total, str) else total,
        "lines": {"L": []},
        "createdAt": {"N": "1764000000000"},
        "updatedAt": {"N": "1764000000000"},
    }
    data = {"Keys": {"orderId": {"S": key}}, "NewImage": image, "SequenceNumber": str(10 + ordinal)}
    record = {"eventName": "INSERT", "dynamodb": {**data, "ApproximateCreationDateTime": 1764000000}}
    said = {"ce_source": "arn", "ce_shard": "shardId-1", "ce_ordinal": ordinal, "ce_sequence": 10 + ordinal}
    said |= {"ce_epoch": 2, "dead_letter_reason": "it was too early"}
    return key.encode(), orjson.dumps(record), [(name, str(text).encode()) for name, text in said.items()]


def test_the_producers_dead_letters_are_published_once_beside_a_running_slot(feed: Feed) -> None:
    """A retry waits for a slot's open transaction and does not fence it; a letter is published once, never again."""
    letters = f"{feed.name}.dead-letter"
    owner = feed.kafka.transactional_producer(f"{feed.name}.slot-0")
    owner.init_transactions(20)
    owner.begin_transaction()
    key, value, headers = stream_letter(4)
    owner.produce(letters, value, key, 0, headers=headers)
    # where the owner's own changes of this key go
    owner.produce(feed.name, b"a neighbour", key)
    owner.commit_transaction(20)
    (listed,) = feed.lines("dead-letters", "list")
    assert (listed["offset"], listed["origin"], listed["reason"]) == (0, "shardId-1 ordinal 4", "it was too early")
    assert json.loads(feed.run("dead-letters", "show", "0").output)["value"]["eventName"] == "INSERT"

    owner.begin_transaction()
    key, value, headers = stream_letter(5, total={"S": "broken"})
    owner.produce(letters, value, key, 0, headers=headers)
    owner.flush(20)
    ended: list[Result] = []
    retry = threading.Thread(target=lambda: ended.append(feed.run("dead-letters", "retry", "--all")))
    retry.start()
    retry.join(3)
    assert retry.is_alive(), "it does not wait for what it cannot read yet"
    owner.commit_transaction(20)
    retry.join(60)
    assert ended[0].exit_code == 1, ended[0].output
    assert "0: published" in ended[0].output
    assert "still refused" in ended[0].output

    again = feed.run("dead-letters", "retry", "0")
    assert isinstance(again.exception, ConfigError)
    assert [letter["origin"] for letter in feed.lines("dead-letters", "list")] == ["shardId-1 ordinal 5"]
    assert len(feed.lines("dead-letters", "list", "--retried")) == 2
    neighbour, published = TopicReader(feed.kafka, feed.name).records()
    assert published.partition() == neighbour.partition()
    facts = facts_of(published.headers())  # type: ignore[arg-type]  # the stub knows more shapes than the client gives
    assert (facts.ordinal, facts.epoch, facts.sequence, facts.event_id) == (4, 2, 14, "shardId-1:14")
    decoded = CODEC.decode(published.value() or b"")
    assert decoded.after is not None
    assert (decoded.after["orderId"], decoded.version.epoch) == ("o-1", 2)


def test_of_two_retries_the_later_one_publishes_alone(feed: Feed) -> None:
    """The earlier one is fenced though it had chosen the letter already; the topic has the change once."""
    source = FeedSource(feed=feed.name, table=feed.name, region="eu-west-1")
    feed.write(f"{feed.name}.dead-letter", [stream_letter(4)])
    (offset,) = [letter["offset"] for letter in feed.lines("dead-letters", "list")]
    letter = LetterTopic(feed.kafka, f"{feed.name}.dead-letter").record(offset)
    earlier = ChangeRetry(feed.kafka, feed.name, lambda: NOW_MS)
    earlier.start()
    assert feed.run("dead-letters", "retry", "--all").output == f"{offset}: published\n"
    with pytest.raises(FatalError, match="fenced"):
        earlier.publish(letter, change_of(letter, source, CODEC))
    assert len(list(TopicReader(feed.kafka, feed.name).records())) == 1
    assert feed.lines("dead-letters", "list") == []


def test_a_consumers_dead_letters_go_to_its_sink_and_to_no_group(feed: Feed, dynamodb_local: DynamoDbLocal) -> None:
    """The pick is written, the letter is told as retried, no group is joined or made; poison stays open."""
    group = f"{feed.name}.warehouse"
    good = CODEC.encode(change(Op.CREATE, None, order("created", 1), sequence=10))
    rows = []
    for offset, value in enumerate((good, b"\xff")):
        record = MemoryRecord(feed.name, 3, offset, b"o-1", value, (("trace", b"1"),), NOW_MS)
        headers = context_headers(record, PoisonError("no such status", hint=""), group=group, attempt=1)
        rows.append((b"o-1", value, [("trace", b"1"), *headers]))
    feed.write(f"{group}.dead-letter", rows)
    words = ("--consumer", "warehouse")
    first, second = feed.lines("dead-letters", "list", *words)
    assert (first["origin"], second["origin"]) == (f"{feed.name}[3]@0", f"{feed.name}[3]@1")
    shown = json.loads(feed.run("dead-letters", "show", str(first["offset"]), *words).output)
    assert (shown["value"]["after"]["status"], shown["headers"]["trace"]) == ("created", "1")
    assert json.loads(feed.run("dead-letters", "show", str(second["offset"]), *words).output)["value_hex"] == "ff"

    ended = feed.run("dead-letters", "retry", "--all", *words)
    assert ended.exit_code == 1, ended.output
    assert f"{first['offset']}: handled" in ended.output
    client = AwsClients(aws_settings(dynamodb_local.endpoint)).client("dynamodb")
    pick = client.get_item(TableName=feed.name, Key={KEY: {"S": "o-1"}}, ConsistentRead=True)["Item"]
    assert pick["pickStatus"] == {"S": "open"}
    assert [letter["offset"] for letter in feed.lines("dead-letters", "list", *words)] == [second["offset"]]
    admin = feed.kafka.admin()
    groups = {listed.group_id for listed in admin.list_consumer_groups(request_timeout=20).result(21).valid}
    assert not [name for name in groups if name.startswith(feed.name)], "a retry joined or made a group"


def test_a_batch_sinks_dead_letters_cannot_be_retried_and_that_is_said(feed: Feed) -> None:
    """One sentence, nothing written; a name that is no consumer too."""
    refused = feed.run("dead-letters", "retry", "--all", "--consumer", "audit")
    assert isinstance(refused.exception, ConfigError)
    assert "batches" in str(refused.exception)
    assert isinstance(feed.run("dead-letters", "list", "--consumer", "nobody").exception, ConfigError)
    assert "no open dead letters" in feed.run("dead-letters", "list", "--consumer", "audit").output
