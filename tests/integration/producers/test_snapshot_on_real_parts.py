"""A reload after a gap, on real parts: killed at each named point, and two sinks that then equal the table."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, create_effect_table
from connectors.telemetry import Telemetry
from consumers.runtime import KafkaBroker, RuntimeSettings, consumer
from consumers.warehouse import KEY, PickStatus, WarehouseSettings, WarehouseSink
from feed.config import load_config
from feed.testing import Table, create_topics
from feed.verify.run import verify
from schemas.control import ControlEvent, ControlKind, decode_control
from schemas.headers import Facts, facts_of
from schemas.marker import SnapshotMarker, marker_of
from schemas.version import Version
from tests.integration.producers.producer_bench import CODEC, PARTITIONS, SLOTS, Bench, Writer, order
from tests.unit.analytics.loading import Process, current
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).with_name("snapshot_program.py")
QUICK = {"discovery_interval_ms": 500, "absence_min_ms": 1_500}
ITEMS, DELETED, CHANGED = 2_000, 30, 20
BOUND_S = 60.0


def config_of(bench: Bench, **snapshot: int) -> Path:
    """A feed.yaml for the bench's feed."""
    endpoints = dict.fromkeys(("dynamodb", "dynamodbstreams"), bench.endpoint)
    aws = {"region": "eu-west-1", "endpoints": endpoints}
    aws |= {"access_key_id": "local", "secret_access_key": "local-secret"}
    kafka = {"bootstrap_servers": bench.bootstrap}
    config = {
        "feed": bench.feed,
        "table": {"name": bench.table.name, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "topic": {"partitions": PARTITIONS, "slots": SLOTS},
        "regions": {"eu": {"kafka": kafka, "aws": aws, "replication_factor": 1, "min_insync_replicas": 1}},
        "snapshot": {"segments": 4, "page_items": 60, "read_units_per_second": 100_000, **snapshot},
    }
    file = bench.tmp / f"{bench.feed}.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def fill(bench: Bench) -> None:
    """Items, 25 a request."""
    client = bench.table.aws.client("dynamodb")
    names = [f"i-{number}" for number in range(ITEMS)]
    for start in range(0, ITEMS, 25):
        puts = [{"PutRequest": {"Item": order(name, 1)}} for name in names[start : start + 25]]
        assert not client.batch_write_item(RequestItems={bench.table.name: puts})["UnprocessedItems"]


def lose_changes(bench: Bench) -> None:
    """Deletes and updates that nobody will ever read, and a new item: their shard is forgotten."""
    client, name = bench.table.aws.client("dynamodb"), bench.table.name
    for number in range(DELETED):
        client.delete_item(TableName=name, Key={"orderId": {"S": f"i-{number}"}})
    for number in range(DELETED, DELETED + CHANGED):
        client.put_item(TableName=name, Item=order(f"i-{number}", 2) | {"status": {"S": "paid"}})
    client.put_item(TableName=name, Item=order("i-new", 1))
    bench.table.shards.forget(list(bench.table.shards.roll()))  # type: ignore[union-attr]


def run_snapshot(file: Path, point: str = "nowhere", number: int = 0) -> int:
    """``feed snapshot`` to its end, or to where it kills itself."""
    argv = [sys.executable, str(PROGRAM), str(file), point, str(number)]
    ended = subprocess.run(argv, check=False, timeout=BOUND_S, capture_output=True, text=True)
    print(ended.stdout, ended.stderr)
    return ended.returncode


class Topic:
    """Everything that a read_committed reader can see of a feed, partition by partition, in order."""

    def __init__(self, bench: Bench) -> None:
        self.records: dict[int, list[Any]] = defaultdict(list)
        self.control: list[ControlEvent] = []
        control = f"{bench.feed}.control"
        parts = [TopicPartition(bench.feed, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
        parts.append(TopicPartition(control, 0, OFFSET_BEGINNING))
        reader, ended = bench.kafka.reader(), set[tuple[str, int]]()
        reader.assign(parts)
        while len(ended) < len(parts):
            for message in reader.consume(1_000, 1.0):
                if message.error() is not None:
                    ended.add((message.topic(), message.partition()))
                elif message.topic() == control:
                    self.control.append(decode_control(message.value()))
                else:
                    self.records[message.partition()].append(message)
        reader.close()

    def facts(self) -> list[Facts]:
        """Of rows and changes."""
        flat = [message for partition in self.records.values() for message in partition]
        return [facts_of(message.headers()) for message in flat if message.value() is not None]

    def markers(self) -> dict[int, list[SnapshotMarker]]:
        """By partition."""
        found = {p: [marker_of(m.key(), m.value(), m.headers()) for m in ms] for p, ms in self.records.items()}
        return {p: [marker for marker in markers if marker is not None] for p, markers in found.items()}


def table_of(bench: Bench) -> dict[str, str]:
    """Order → status, as the source table has it."""
    pages = bench.table.aws.client("dynamodb").get_paginator("scan").paginate(TableName=bench.table.name)
    return {item["orderId"]["S"]: item["status"]["S"] for page in pages for item in page["Items"]}


def analytics_of(topic: Topic) -> dict[str, str]:
    """What the analytics sink makes of the topic, loaded into the data warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    try:
        process = Process(warehouse, decode=CODEC.decode)
        for partition, messages in topic.records.items():
            _, writer = process.open(partition)
            writer.add(messages)
            writer.flush()
        return current(warehouse)
    finally:
        warehouse.engine.close()


def picks_of(bench: Bench, picks: Table, within_s: float = BOUND_S) -> dict[str, str]:
    """What the warehouse makes of it, through the consumer's runtime: open picks and their order's status."""
    client, name = picks.aws.client("dynamodb"), f"{bench.feed}-picks"
    create_effect_table(client, name, KEY)
    group, stop = f"{bench.feed}.warehouse", threading.Event()
    create_topics(bench.bootstrap, {f"{group}.dead-letter": 1})
    registry = CollectorRegistry()
    settings = RuntimeSettings(in_flight=16, commit_interval_ms=200)
    table = EffectTable(client, name, calls=picks.aws.dynamodb_calls())
    member = consumer(
        WarehouseSink(table, WarehouseSettings(), registry=registry, now_ms=lambda: time.time_ns() // 1_000_000),
        topic=bench.feed,
        group=group,
        broker=KafkaBroker(bench.kafka, settings),
        decode=CODEC.decode,
        time_of=lambda change: None,
        settings=settings,
        telemetry=Telemetry("warehouse"),
        stop=stop,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    thread = threading.Thread(target=member.run_forever)
    thread.start()
    try:
        ends = {p: bench.kafka.reader().get_watermark_offsets(TopicPartition(bench.feed, p), 10)[1] for p in range(4)}
        asking = bench.kafka.group_consumer(group)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            done = asking.committed([TopicPartition(bench.feed, p) for p in ends], 10)
            if all(part.offset >= ends[part.partition] for part in done):
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"the warehouse stands at {done}, the topic ends at {ends}")
        asking.close()
    finally:
        stop.set()
        thread.join(30)
    pages = client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    rows = [item for page in pages for item in page["Items"]]
    return {row[KEY]["S"]: row["orderStatus"]["S"] for row in rows if row["pickStatus"]["S"] == PickStatus.OPEN}


def test_a_reload_after_a_gap_converges_though_it_is_killed(bench: Bench, dynamodb_table: Callable[..., Table]) -> None:
    """Killed before a commit, after one and before the markers: rows once, markers last, sinks equal the table."""
    fill(bench)
    first = bench.worker("first", gap_policy="continue", **QUICK)
    assert len(bench.wait(lambda f: len(f.changes) == ITEMS).changes) == ITEMS
    first.stop()
    lose_changes(bench)
    bench.worker("second", gap_policy="continue", **QUICK)
    bench.worker("third", gap_policy="continue", **QUICK)
    file = config_of(bench)
    with Writer(bench.table, pause_s=0.01) as writer:  # type: ignore[arg-type]
        assert bench.wait(lambda f: bool(f.of(ControlKind.GAP))).of(ControlKind.GAP)
        assert run_snapshot(file, "before commit", 3) == -9
        assert run_snapshot(file, "after commit", 2) == -9
        assert run_snapshot(file, "before the markers", 1) == -9
        assert run_snapshot(file) == 0
    total = sum(writer.ledger.values())
    bench_changes = ITEMS + total
    deadline = time.monotonic() + BOUND_S
    while (topic := Topic(bench)) and sum(bool(f.sequence) for f in topic.facts()) < bench_changes:
        assert time.monotonic() < deadline, "not all changes came"
        time.sleep(0.3)
    judge_rows(topic)
    judge_lineage(file)
    wanted = table_of(bench)
    assert len(wanted) == ITEMS - DELETED + 1 + len(writer.ledger)
    assert analytics_of(topic) == wanted
    assert picks_of(bench, dynamodb_table()) == wanted


def judge_lineage(file: Path) -> None:
    """``feed verify``: rows and changes are complete by their ordinals; the declared gap is all that it finds."""
    (finding,) = verify(load_config(file), None).lineages
    faults = {name: faults.examples for name, faults in finding.faults().items() if faults.count}
    assert faults.keys() == {"gaps declared"}, faults


def judge_rows(topic: Topic) -> None:
    """Each item once, under version (2, 0), in dense ordinals that the ends confirm; markers behind them."""
    rows = [facts for facts in topic.facts() if not facts.sequence]
    assert {facts.version for facts in rows} == {Version(2, 0)}
    subjects = [facts.subject for facts in rows]
    assert len(subjects) == len(set(subjects)), "a row twice"
    assert {f"i-{number}" for number in range(DELETED, ITEMS)} | {"i-new"} <= set(subjects)
    ordinals: dict[str, list[int]] = defaultdict(list)
    for facts in rows:
        ordinals[facts.shard].append(facts.ordinal)
    ends = {e.shard: e.ordinal for e in topic.control if e.kind is ControlKind.SHARD_END and e.shard in ordinals}
    assert len(ends) == 4
    for shard, numbers in ordinals.items():
        assert sorted(numbers) == list(range(ends[shard] + 1))
    assert {p: [m.epoch for m in markers] for p, markers in topic.markers().items()} == {p: [2] for p in range(4)}
    for messages in topic.records.values():
        at = max(i for i, m in enumerate(messages) if m.value() is not None and not facts_of(m.headers()).sequence)
        (marker,) = [i for i, m in enumerate(messages) if m.value() is None]
        assert marker > at, "a row behind the marker"
        assert all(facts_of(m.headers()).epoch >= 2 for m in messages[marker + 1 :])
    (complete,) = [event for event in topic.control if event.kind is ControlKind.SNAPSHOT_COMPLETE]
    assert complete.reason == f"rows={len(rows)} refused=0 segments=4"


def test_without_a_producer_the_command_says_what_is_missing(bench: Bench) -> None:
    """The request stays: when a producer comes and the command is run again, it goes on with it."""
    file = config_of(bench, slots_timeout_ms=1_000)
    assert run_snapshot(file) == 1
    worker = bench.worker("only", **QUICK)
    Writer(bench.table).put("o-1")  # type: ignore[arg-type]
    assert bench.wait(lambda f: len(f.changes) == 1).changes
    worker.stop()
    assert run_snapshot(file) == 1
    bench.worker("again", **QUICK)
    assert run_snapshot(config_of(bench)) == 0
    assert [facts.version for facts in Topic(bench).facts() if not facts.sequence] == [Version(2, 0)]
    assert run_snapshot(config_of(bench)) == 0, "another one, under an epoch of its own"
    assert [f.version for f in Topic(bench).facts() if not f.sequence] == [Version(2, 0), Version(3, 0)]


def test_the_policy_resnapshot_reloads_by_itself(bench: Bench) -> None:
    """After a gap the worker with slot 0 scans beside it: the lost delete is told by the rows and the markers."""
    from tests.integration.producers.test_gaps_on_real_parts import lose_a_shard  # noqa: PLC0415 - the same loss

    lose_a_shard(bench, gap_policy="continue", **QUICK)
    file = config_of(bench)
    argv = [sys.executable, "-m", "feed", "run", "producer", "-c", str(file)]
    config = yaml.safe_load(file.read_text())
    config["producer"] = {"gap_policy": "resnapshot", **QUICK}
    file.write_text(yaml.safe_dump(config))
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as producer:
        try:
            deadline = time.monotonic() + BOUND_S
            topic = Topic(bench)
            while not any(event.kind is ControlKind.SNAPSHOT_COMPLETE for event in topic.control):
                assert time.monotonic() < deadline, "no snapshot came"
                time.sleep(0.5)
                topic = Topic(bench)
        finally:
            producer.terminate()
    rows = [facts for facts in topic.facts() if not facts.sequence]
    assert [(facts.subject, facts.version) for facts in rows] == [("o-1", Version(2, 0))]
