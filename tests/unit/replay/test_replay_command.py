"""``feed replay``: who may have one, what it reads of the archive, and what it refuses before it asks a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from consumers.archive import ArchiveSettings, ArchiveSink, all_runs
from consumers.columns import Declared, StoredRecord
from consumers.runtime.contracts import Partition
from feed.cli import app
from feed.config import FeedConfig, parse_config
from feed.config.consumers import TAKES_NO_REPLAY, WHEN_LAPSED
from feed.replay import Range, request_of
from feed.replay.archived import Archived
from feed.replay.live import LivePartition, begin_of
from schemas.control import ControlEvent, ControlKind
from schemas.errors import ConfigError, FatalError
from schemas.replay import commit_note, noted_ms
from tests.unit.memory_store import InlineExecutor, MemoryStore
from tests.unit.replay.archived import START_MS
from tests.unit.replay.archived import Archived as Change

PARTITION = Partition("c", "t", "orders", 0)
CONFIG = {
    "feed": "orders",
    "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
    "regions": {
        name: {
            "kafka": {"bootstrap_servers": "127.0.0.1:9"},
            "aws": {"region": f"{name}-1"},
            "replication_factor": 3,
            "min_insync_replicas": 2,
        }
        for name in ("eu", "us")
    },
    "mirrors": [{"target": "us"}],
    "consumers": {
        "warehouse": {"kind": "warehouse", "region": "us"},
        "archive": {"kind": "archive", "region": "eu", "sink": {"bucket": "archive"}},
        "audit": {"kind": "audit", "region": "eu", "sink": {"bucket": "audit"}},
        "reports": {
            "kind": "analytics",
            "region": "us",
            "warehouse": {"workgroup": "reports", "database": "dev", "copy_role": "arn:aws:iam::1:role/copy"},
            "sink": {"bucket": "staged"},
        },
        "tell": {
            "kind": "notification",
            "region": "eu",
            "sink": {"messenger": {"kind": "webhook", "url": "http://x", "secret": "s"}},
        },
    },
}


def config(**changed: object) -> FeedConfig:
    return parse_config(yaml.safe_dump(CONFIG | changed), variables={})


def test_the_topic_of_a_replay() -> None:
    """In the consumer's region, kept until it is deleted, by the time of arrival, with room for what a replay adds."""
    request = request_of(config(), "warehouse")
    assert (request.region, request.group, request.topic) == ("us", "orders.warehouse", "orders.replay.warehouse")
    assert request.read_by == "orders.warehouse.replay"
    spec = request.spec(12)
    assert (spec.partitions, spec.replication_factor) == (12, 3)
    assert spec.config["retention.ms"] == spec.config["retention.bytes"] == "-1"
    assert spec.config["message.timestamp.type"] == "LogAppendTime"
    assert spec.config["min.insync.replicas"] == "2"
    assert int(spec.config["max.message.bytes"]) > config().topic.max_message_bytes


@pytest.mark.parametrize("name", ["archive", "audit", "reports", "tell"])
def test_who_takes_no_replay(name: str) -> None:
    """Each kind but the warehouse is refused with its own reason, with who takes one, and with what to do instead."""
    with pytest.raises(ConfigError, match="takes no replay: ") as refused:
        request_of(config(), name)
    assert refused.value.hint.startswith("those that take replays: warehouse. ")
    assert WHEN_LAPSED[config().consumers[name].kind] in refused.value.hint
    assert TAKES_NO_REPLAY[config().consumers[name].kind] in str(refused.value)


def test_unknown_consumers_and_a_feed_without_an_archive() -> None:
    """A name that is none is told with those that are; without an archive there is nothing to replay."""
    with pytest.raises(ConfigError, match="no consumer 'warehose'") as unknown:
        request_of(config(), "warehose")
    assert "warehouse" in unknown.value.hint
    without = {name: each for name, each in CONFIG["consumers"].items() if name != "archive"}
    with pytest.raises(ConfigError, match="no consumer of kind archive"):
        request_of(config(consumers=without), "warehouse")


@pytest.mark.parametrize(
    "words, told",
    [
        (["--dry-run", "--resume"], "--dry-run and --resume cannot be asked for together"),
        (["--rate", "fast"], "--rate 'fast' is no rate"),
        (["--rate", "0/s"], "no rate"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, words: list[str], told: str) -> None:
    """They end the command before it asks any cluster."""
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    ended = CliRunner().invoke(app, ["replay", "--group", "warehouse", *words, "-c", str(file)])
    assert isinstance(ended.exception, ConfigError)
    assert told in str(ended.exception)


@pytest.fixture
def store() -> MemoryStore:
    """Twelve changes over four minutes, without the ordinals 4 and 7."""
    store = MemoryStore()
    sink = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    _, writer = sink.open(PARTITION, 0)
    for n in range(12):
        if n not in {4, 7}:
            change = Change("o-1", n + 1, ordinal=n)
            at_ms = START_MS + n // 3 * 60_000
            writer.add([StoredRecord("orders", 0, n, b"o-1", b"v", change.headers(), 1, at_ms)])
    writer.flush()
    return store


def test_objects_come_in_order_whatever_is_fetched_first(store: MemoryStore) -> None:
    """Each object's table once, in order, with the progress told; missing ordinals are named."""
    archived = Archived(store, "archive", all_runs(store, "archive", "orders"), parallel=3)
    done: list[int] = []
    offsets = [row for table in archived.tables(done.append) for row in table.column("ordinal").to_pylist()]
    assert offsets == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert done == [1, 2, 3, 4]
    assert archived.gaps(Declared(), []) == ["the archive lacks ordinals 4, 7 of shardId-1"]
    assert archived.repeated() == 0


def test_what_was_refused_or_lies_beside_is_not_missing(store: MemoryStore) -> None:
    """An ordinal that the feed declared as refused, and one in an object just outside the range, are no gap."""
    runs = all_runs(store, "archive", "orders")
    archived = Archived(store, "archive", [runs[0], runs[3]], parallel=2)
    list(archived.tables(lambda _: None))
    (gap,) = archived.gaps(Declared(), [])
    assert gap == "the archive lacks ordinals 3-8 of shardId-1"
    declared = Declared()
    for ordinal in (4, 7):
        declared.take(ControlEvent(ControlKind.REFUSED, "orders", 0, shard="shardId-1", ordinal=ordinal, reason="odd"))
    assert archived.gaps(declared, runs[1:3]) == []


def test_an_object_that_is_gone_is_told(store: MemoryStore) -> None:
    """An object that expires while the replay reads ends it with its name."""
    runs = all_runs(store, "archive", "orders")
    store.objects.clear()
    with pytest.raises(FatalError, match="cannot be read"):
        list(Archived(store, "archive", runs, parallel=2).tables(lambda _: None))


def test_what_has_lapsed() -> None:
    """A partition has lapsed when retention deleted what its group had not read; not when the group is new."""
    assert LivePartition(0, 7, 9, 3).lapsed
    assert not LivePartition(0, 7, 9, 7).lapsed
    assert not LivePartition(0, 7, 9, None).lapsed
    assert not Range().given
    assert Range(order="o-1").given


def test_a_replay_begins_where_the_group_stands() -> None:
    """An hour before the earliest time noted with a lapsed partition's commit; without a note it is asked for."""
    whole, lapsed = LivePartition(0, 7, 9, 8, START_MS), LivePartition(1, 7, 9, 3, START_MS + 1)
    assert begin_of([whole]) is None
    assert begin_of([whole, lapsed]) == START_MS + 1 - 3_600_000
    with pytest.raises(ConfigError, match=r"no time is noted .* \[1\]"):
        begin_of([whole, LivePartition(1, 7, 9, 3)])
    assert noted_ms(commit_note(START_MS)) == START_MS
    assert [noted_ms(text) for text in (None, "", "someone's own", "at_ms=", "5")] == [None] * 5
