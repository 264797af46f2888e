"""Tables that are nothing like the orders, several in one process group, and filters at the source: on real parts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from connectors.kafka import KafkaClients
from connectors.registry import image_schema
from feed.config import FeedConfig, load_config
from feed.demo.scrape import fetch
from feed.local import DynamoDbLocal, Program, Site, free_port
from feed.operate import assignment_of
from feed.run.topics import apply_topics
from feed.testing import unique_name
from feed.testing.regions import KafkaBroker
from feed.testing.tables import Table, new_table
from feed.verify.run import verify
from schemas.attributes import with_bytes
from schemas.change import Change, Op
from schemas.codec import ChangeCodec
from schemas.errors import ConfigError
from schemas.headers import Facts, facts_of
from schemas.key import key_bytes
from tests.integration.producers.producer_bench import READ_WITHIN_S, order

pytestmark = pytest.mark.integration

READING = str(Path(__file__).with_name("reading.avsc"))
SLOTS, PARTITIONS = 4, 6


def murmur2(data: bytes) -> int:
    """Kafka's own hash (org.apache.kafka.common.utils.Utils), written again: the test trusts no client's."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    for start in range(0, len(data) // 4 * 4, 4):
        k = int.from_bytes(data[start : start + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[len(data) // 4 * 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


@dataclass(slots=True)
class OneFeed:
    """A feed with its table and its file."""

    config: FeedConfig
    file: Path
    table: Table
    kafka: KafkaClients
    codec: ChangeCodec = field(init=False)

    def __post_init__(self) -> None:
        self.codec = ChangeCodec.for_image(image_schema(self.config.table.image_schema))

    def changes(self) -> list[tuple[int, bytes, Facts, Change]]:
        """Partition, key, facts and change of all that is committed."""
        found, reader, ended = [], self.kafka.reader(), set()
        feed = self.config.feed
        reader.assign([TopicPartition(feed, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        deadline = time.monotonic() + READ_WITHIN_S
        while len(ended) < PARTITIONS:
            assert time.monotonic() < deadline, f"of {PARTITIONS} partitions only {ended} could be read to their ends"
            for message in reader.consume(500, 1.0):
                if (fault := message.error()) is not None:
                    # anything else is mended by the client, which goes on asking
                    if fault.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
                else:
                    change = self.codec.decode(message.value())
                    found.append((message.partition(), message.key(), facts_of(message.headers()), change))
        reader.close()
        return found

    def wait(self, count: int, within_s: float = 60.0) -> list[tuple[int, bytes, Facts, Change]]:
        """All changes, once there are so many."""
        deadline = time.monotonic() + within_s
        while len(found := self.changes()) < count and time.monotonic() < deadline:
            time.sleep(0.3)
        return found


@pytest.fixture
def make(kafka_broker: KafkaBroker, dynamodb_on_disk: DynamoDbLocal, tmp_path: Path) -> Callable[..., OneFeed]:
    """``make(name, schema, key, producer=…, **table)`` → a feed with its table and topics."""

    def one(
        name: str,
        schema: str,
        key: list[str],
        *,
        producer: dict[str, Any] | None = None,
        key_types: dict[str, str] | None = None,
        **table: Any,
    ) -> OneFeed:
        made = new_table(
            dynamodb_on_disk.endpoint, key=key[0], sort_key=key[1] if len(key) > 1 else None, key_types=key_types
        )
        endpoints = dict.fromkeys(("dynamodb", "dynamodbstreams"), dynamodb_on_disk.endpoint)
        aws = {
            "region": "eu-west-1",
            "endpoints": endpoints,
            "access_key_id": "local",
            "secret_access_key": "local-secret",
        }
        kafka = {"bootstrap_servers": kafka_broker.bootstrap}
        raw = {
            "feed": unique_name(name),
            "table": {"name": made.name, "region": "eu", "key": key, "image_schema": schema, **table},
            "topic": {"partitions": PARTITIONS, "slots": SLOTS},
            "regions": {"eu": {"kafka": kafka, "aws": aws, "replication_factor": 1, "min_insync_replicas": 1}},
            "producer": {"discovery_interval_ms": 2_000, "session_timeout_ms": 6_000, **(producer or {})},
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(raw))
        config = load_config(file)
        apply_topics(config)
        return OneFeed(config, file, made, KafkaClients(config.source.kafka, client_id="test"))

    return one


@pytest.fixture
def start(local_site: Site) -> Iterator[Callable[..., tuple[Program, int]]]:
    """``start(feeds…)`` → ``feed run producer -c … -c …`` as a process, and its port."""
    started: list[Program] = []

    def run(*feeds: OneFeed) -> tuple[Program, int]:
        port = free_port()
        files = [part for feed in feeds for part in ("-c", str(feed.file))]
        argv = [sys.executable, "-m", "feed", "run", "producer", *files, "--metrics-port", str(port)]
        program = Program(unique_name("producers"), local_site, argv=argv)
        program.start()
        started.append(program)
        return program, port

    yield run
    for program in started:
        program.finish()


def wait_ready(*ports: int, within_s: float = 60.0) -> None:
    """Until every process says that it is."""
    deadline = time.monotonic() + within_s
    while not all(fetch(port, "/readyz") for port in ports):
        assert time.monotonic() < deadline, "the producers did not become ready"
        time.sleep(0.2)


def wait_shared(feed: OneFeed, within_s: float = 60.0) -> None:
    """Until two processes share the feed's slots."""
    deadline = time.monotonic() + within_s
    while True:
        group = assignment_of(feed.kafka.admin(), f"{feed.config.feed}.producer", f"{feed.config.feed}.positions")
        if group.state == "stable" and len(group.owners) == SLOTS and len(group.members) == 2:
            return
        assert time.monotonic() < deadline, f"{group}"
        time.sleep(0.3)


def reading(sensor: bytes, taken_at: str, celsius: str | None = None, **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"sensor": {"B": sensor}, "takenAt": {"N": taken_at}}
    return item | ({} if celsius is None else {"celsius": {"N": celsius}}) | more


def write_readings(feed: OneFeed) -> list[tuple[Op, dict[str, Any]]]:
    """Inserts, updates and deletes of items whose keys are not text; what must be found, in order for each key."""
    client, name = feed.table.aws.client("dynamodb"), feed.table.name
    written: list[tuple[Op, dict[str, Any]]] = []
    for sensor in (b"\x00\xff\xfe raw", b"plain", bytes(range(200, 232))):
        for taken_at in ("1764000000.5", "-3", "12345678901234567.000001"):
            first = reading(sensor, taken_at, "21.5", odd={"SS": ["b", "a"]})
            second = reading(sensor, taken_at, "21.1234", note={"S": "ünïcode"}, raw={"B": b"\x01"})
            for op, item in ((Op.CREATE, first), (Op.UPDATE, second)):
                client.put_item(TableName=name, Item=item)
                written.append((op, item))
            if taken_at == "-3":
                client.delete_item(TableName=name, Key=reading(sensor, taken_at))
                written.append((Op.DELETE, second))
    return written


def judge_readings(feed: OneFeed, written: list[tuple[Op, dict[str, Any]]]) -> None:
    found = feed.wait(len(written))
    by_key: dict[bytes, list[tuple[Op, dict[str, Any]]]] = {}
    for partition, key, facts, change in found:
        assert key == key_bytes(change.key), "the key in the value is the key of the record"
        assert partition == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS, "where any Java client would put it"
        image = change.after if change.after is not None else change.before
        assert image is not None
        assert facts.op is change.op
        by_key.setdefault(key, []).append((change.op, with_bytes(feed.codec.image_to_dynamodb(image))))
    expected: dict[bytes, list[tuple[Op, dict[str, Any]]]] = {}
    for op, item in written:
        key = key_bytes({"sensor": item["sensor"], "takenAt": item["takenAt"]})
        expected.setdefault(key, []).append((op, item))
    assert sorted(by_key) == sorted(expected)
    for key, changes in by_key.items():
        assert [op for op, _ in changes] == [op for op, _ in expected[key]]
        for (_, got), (_, want) in zip(changes, expected[key], strict=True):
            assert _sorted_sets(got) == _sorted_sets(want)


def _sorted_sets(item: dict[str, Any]) -> dict[str, Any]:
    return {name: {"SS": sorted(value["SS"])} if "SS" in value else value for name, value in item.items()}


def write_orders(feed: OneFeed, names: int) -> None:
    """Each order created, paid, noted twice, sent, and deleted."""
    client, name = feed.table.aws.client("dynamodb"), feed.table.name
    for number in range(names):
        steps = [("created", None), ("paid", None), ("paid", "first"), ("paid", "second"), ("shipped", None)]
        for status, secret in steps:
            item = order(f"o-{number}", 1) | {"status": {"S": status}, "updatedAt": {"N": "1"}, "createdAt": {"N": "1"}}
            item |= {"secret": {"S": secret}} if secret else {}
            client.put_item(TableName=name, Item=item)
        client.delete_item(TableName=name, Key={"orderId": {"S": f"o-{number}"}})


def test_several_tables_of_any_shape_in_one_process_group(
    make: Callable[..., OneFeed], start: Callable[..., tuple[Program, int]]
) -> None:
    """Binary and number keys, plain orders and a filtered feed, shared by two processes; one is killed on the way."""
    readings = make("readings", READING, ["sensor", "takenAt"], key_types={"sensor": "B", "takenAt": "N"})
    orders = make("orders", "order", ["orderId"])
    paid = make(
        "paid",
        "order",
        ["orderId"],
        producer={
            "filter": {
                "where": {"attribute": "status", "equals": "paid"},
                "omit": ["secret"],
                "drop_unchanged": True,
            }
        },
    )
    feeds = (readings, orders, paid)
    (first, first_port), (second, second_port) = start(*feeds), start(*feeds)
    wait_ready(first_port, second_port)
    for feed in feeds:
        wait_shared(feed)
    written = write_readings(readings)
    write_orders(orders, 4)
    write_orders(paid, 4)
    judge_readings(readings, written)
    assert len(orders.wait(24)) == 24
    judge_paid(paid, 4)
    judge_telemetry(feeds, first_port, second_port)
    first.kill()
    write_orders(orders, 1)
    assert len(orders.wait(30)) == 30
    second.stop()
    assert second.log_path is not None
    assert "process=producers state=stopped" in second.log_path.read_text()


def judge_paid(feed: OneFeed, orders: int) -> None:
    """Becoming paid and ceasing to be paid are told; what differs in the secret only, or lies outside, is not."""
    found = feed.wait(2 * orders)
    statuses: dict[str, list[tuple[str, str]]] = {}
    for _, _, facts, change in found:
        before, after = change.before or {}, change.after or {}
        statuses.setdefault(facts.subject, []).append((before["status"], after["status"]))
        assert "secret" not in before["extra"]
        assert "secret" not in after["extra"]
    assert statuses == {f"o-{number}": [("created", "paid"), ("paid", "shipped")] for number in range(orders)}
    by_shard: dict[str, list[int]] = {}
    for _, _, facts, _ in found:
        by_shard.setdefault(facts.shard, []).append(facts.ordinal)
    assert all(sorted(ordinals) == list(range(len(ordinals))) for ordinals in by_shard.values())
    verdict = verify(feed.config, None)
    assert verdict.holds, verdict.examples()
    with pytest.raises(ConfigError, match="cannot tell which"):
        verify(feed.config, Path("ledger.jsonl"))


def judge_telemetry(feeds: tuple[OneFeed, ...], *ports: int) -> None:
    """One port for all feeds: metrics by feed, checks by feed, and what was filtered is counted."""
    texts = [fetch(port, "/metrics") or "" for port in ports]
    for feed in feeds:
        name = feed.config.feed
        running = [f'feed_producer_slots_running{{feed="{name}"}} {count}.0' for count in range(1, SLOTS)]
        assert all(any(line in text for line in running) for text in texts), "each process has some of the slots"
        assert any(f'feed_producer_records_total{{feed="{name}"' in text for text in texts)
        assert all(f"ok  {name} slots" in (fetch(port, "/healthz") or "") for port in ports)
    paid = feeds[-1].config.feed
    filtered = [line for text in texts for line in text.splitlines() if "feed_producer_filtered_total" in line]
    counts = {
        reason: sum(
            float(line.rpartition(" ")[2]) for line in filtered if f'reason="{reason}"' in line and paid in line
        )
        for reason in ("condition", "unchanged")
    }
    assert counts == {"condition": 8.0, "unchanged": 8.0}


def test_a_key_that_the_schema_cannot_hold_is_told_at_start(make: Callable[..., OneFeed]) -> None:
    """The table's number is text in the schema: one sentence for it, exit code 2, nothing started."""
    wrong = make("wrong", READING, ["sensor", "takenAt"], key_types={"sensor": "S", "takenAt": "N"})
    argv = [sys.executable, "-m", "feed", "run", "producer", "-c", str(wrong.file)]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "the key attribute 'sensor' is text (S), but the schema's field 'sensor' holds binary (B)" in ended.stderr
