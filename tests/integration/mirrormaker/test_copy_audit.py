"""The copy audit on real clusters: equal copies are equal, and what is done to them is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from connectors.kafka import KafkaClients, KafkaSettings
from feed.cli.mirror import app
from feed.testing import create_topics
from mirrormaker import render_dedicated
from mirrormaker.audit import GapWriter, Kind, audit_topic
from schemas.control import ControlEvent, ControlKind, decode_control, encode_control
from tests.integration.mirrormaker.mirror_bench import Auditor, MirrorBench, feed_yaml

pytestmark = pytest.mark.integration


def values(count: int, word: bytes = b"value") -> list[bytes]:
    return [b"%s %d" % (word, number) for number in range(count)]


def test_a_mirrored_topic_is_equal(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """What MirrorMaker copied, aborted transactions left out, is proven equal over every partition."""
    feed = unique_name("orders")
    mirror_bench.create(feed)
    mirror_bench.produce(feed, values(500))
    mirror_bench.produce(feed, [b"never"] * 50, abort=True)
    mirror_bench.produce(feed, [os.urandom(900_000), *values(500, b"more")])
    part = mirror_bench.mirror(f"mirror-{feed}", render_dedicated(mirror_bench.flow(feed)))
    try:
        assert len(mirror_bench.copies(feed, 1001)) == 1001
    finally:
        part.finish()
    verdict = Auditor(mirror_bench, feed).once()
    assert verdict.equal
    assert verdict.matched == 1001


@pytest.mark.parametrize(
    "change,kinds",
    [
        (lambda copies: copies[:10] + copies[11:], {Kind.MISSING: 1}),
        (lambda copies: [*copies[:10], copies[3], *copies[10:]], {Kind.REPEATED: 1}),
        (lambda copies: [*copies[:10], b"altered", *copies[11:]], {Kind.MISSING: 1, Kind.FOREIGN: 1}),
        (lambda copies: copies[:80], {Kind.MISSING: 20}),
    ],
    ids=["dropped", "repeated", "altered", "behind"],
)
def test_what_is_wrong_is_told(
    mirror_bench: MirrorBench,
    unique_name: Callable[[str], str],
    change: Callable[[list[bytes]], list[bytes]],
    kinds: dict[Kind, int],
) -> None:
    """A copy with one record dropped, repeated or altered, or that stays behind, is told so, with red health."""
    topic = unique_name("orders")
    for region in ("eu", "us"):
        create_topics(mirror_bench.bootstrap(region), {topic: 1})
    mirror_bench.produce(topic, values(100))
    mirror_bench.produce(topic, change(values(100)), region="us")
    auditor = Auditor(mirror_bench, topic)
    verdict = auditor.once()
    assert {kind: verdict.count(kind) for kind in Kind if verdict.count(kind)} == kinds
    assert not verdict.equal
    assert not auditor.healthy


def test_it_goes_on_where_it_was_and_notices_what_happened_meanwhile(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    """A second run compares only what is new; trimmed offsets and a topic made anew are told."""
    topic = unique_name("orders")
    for region in ("eu", "us"):
        create_topics(mirror_bench.bootstrap(region), {topic: 1})
        mirror_bench.produce(topic, values(100), region=region)
    state = tmp_path / "audit.json"
    assert Auditor(mirror_bench, topic, state_file=state).once().matched == 100
    for region in ("eu", "us"):
        mirror_bench.produce(topic, values(50, b"later"), region=region)
    again = Auditor(mirror_bench, topic, state_file=state).once()
    assert (again.matched, again.equal) == (50, True)

    for region in ("eu", "us"):
        mirror_bench.produce(topic, values(60, b"trimmed"), region=region)
    admin = AdminClient({"bootstrap.servers": mirror_bench.bootstrap("eu")})
    for answer in admin.delete_records([TopicPartition(topic, 0, 190)]).values():
        answer.result(20)
    trimmed = Auditor(mirror_bench, topic, state_file=state).once()
    assert trimmed.count(Kind.TRIMMED) > 0
    assert trimmed.count(Kind.MISSING) == trimmed.count(Kind.FOREIGN) == 0

    for answer in admin.delete_topics([topic], operation_timeout=20).values():
        answer.result(20)
    deadline = time.monotonic() + 20
    while topic in mirror_bench.topics("eu"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    create_topics(mirror_bench.bootstrap("eu"), {topic: 1})
    mirror_bench.produce(topic, values(10, b"anew"))
    anew = Auditor(mirror_bench, topic, state_file=state).once()
    assert anew.count(Kind.RECREATED) == 1


def test_a_copy_that_stands_still_is_red_and_green_again_when_it_moves(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str]
) -> None:
    """A source that goes on while the copy does not is a stall within the bound; health recovers with the copy."""
    topic = unique_name("orders")
    for region in ("eu", "us"):
        create_topics(mirror_bench.bootstrap(region), {topic: 1})
        mirror_bench.produce(topic, values(10), region=region)
    auditor = Auditor(mirror_bench, topic, stall_after_ms=1_000)
    try:
        auditor.audit.start()
        auditor.until(lambda verdict: verdict.matched == 10)
        assert auditor.healthy
        mirror_bench.produce(topic, values(5, b"waits"))
        auditor.until(lambda verdict: verdict.count(Kind.STALLED) > 0)
        assert not auditor.healthy
        mirror_bench.produce(topic, values(5, b"waits"), region="us")
        auditor.until(lambda verdict: verdict.matched == 15)
        assert auditor.healthy
    finally:
        auditor.close()


def test_the_command_says_where_a_copy_differs(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    """`feed mirror audit --once` compares the topic and its control topic, names the place, and exits 1;
    with `--gaps` it writes a gap event, which `feed mirror gaps` lists."""
    feed = unique_name("orders")
    mirror_bench.create(feed)
    for topic in (feed, f"{feed}.control"):
        mirror_bench.produce(topic, values(50))
        mirror_bench.produce(topic, values(50), region="us")
    file = feed_yaml(mirror_bench, feed, tmp_path)
    options = ["audit", "-c", str(file), "--once", "--settle-s", "2", "--json"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert sum(one["matched"] for one in json.loads(done.stdout)[0]["partitions"]) == 100
    mirror_bench.produce(f"{feed}.control", [b"only here"])
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 1
    assert {"missing": 1} in [one["differences"] for one in json.loads(done.stdout)[0]["partitions"]]

    create_topics(mirror_bench.bootstrap("us"), {audit_topic(feed): 1})
    assert CliRunner().invoke(app, [*options, "--gaps"]).exit_code == 1
    listed = CliRunner().invoke(app, ["gaps", "-c", str(file), "--json"])
    assert listed.exit_code == 1
    (gap,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (gap["flow"], gap["place"]) == ("eu->us", f"{feed}.control/0")
    assert gap["reason"].startswith("mirror-missing: 1 of ")


class FeedTopic:
    """A feed's topic as the producer writes it: changes with ordinals of one shard, and control events."""

    def __init__(self, bench: MirrorBench, feed: str, region: str, captured: datetime) -> None:
        self._captured = captured.isoformat(timespec="milliseconds")
        clients = KafkaClients(KafkaSettings(bootstrap_servers=bench.bootstrap(region)), client_id="feed-topic")
        self._feed, self._producer = feed, clients.producer()

    def change(self, ordinal: int) -> None:
        headers = [(name, text.encode()) for name, text in _change_headers(ordinal, self._captured).items()]
        self._producer.produce(self._feed, b"%d" % ordinal, f"o-{ordinal % 5}", headers=headers)

    def marker(self) -> None:
        """What a first load leaves at its end: neither key nor value."""
        self._producer.produce(self._feed, headers=[("ce_type", b"changefeed.snapshot-complete")], partition=0)

    def control(self, event: ControlEvent) -> None:
        self._producer.produce(f"{self._feed}.control", encode_control(event))

    def flush(self) -> None:
        assert self._producer.flush(20) == 0


def _change_headers(ordinal: int, captured: str) -> dict[str, str]:
    return {
        "ce_id": f"s:{ordinal}",
        "ce_type": "changefeed.change.c",
        "ce_source": "arn",
        "ce_subject": f"o-{ordinal % 5}",
        "ce_shard": "shardId-1",
        "ce_ordinal": str(ordinal),
        "ce_sequence": str(ordinal + 1),
        "ce_epoch": "1",
        "ce_time": captured,
        "ce_capturedtime": captured,
    }


def test_what_a_copy_lacks_becomes_gap_events_beside_it(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str]
) -> None:
    """Ordinals that never came, though both sides agree, and a record only the source has, are gap events in us."""
    feed = unique_name("orders")
    mirror_bench.create(feed)
    create_topics(mirror_bench.bootstrap("us"), {audit_topic(feed): 1})
    start = ControlEvent(kind=ControlKind.SHARD_START, feed=feed, at_ms=time.time_ns() // 10**6, shard="shardId-1")
    end = replace(start, kind=ControlKind.SHARD_END, ordinal=29)
    clients = KafkaClients(KafkaSettings(bootstrap_servers=mirror_bench.bootstrap("us")), client_id="gaps")
    writer = GapWriter(clients, (feed,), clock_ms=lambda: time.time_ns() // 10**6)
    auditor = Auditor(mirror_bench, feed, f"{feed}.control", findings=writer, stall_after_ms=3_000)
    try:
        auditor.audit.start()
        captured = datetime.now(UTC)
        sides = [FeedTopic(mirror_bench, feed, region, captured) for region in ("eu", "us")]
        for side, lacks in zip(sides, ({11, 12}, {11, 12, 20}), strict=True):
            side.control(start)
            for ordinal in set(range(30)) - lacks:
                side.change(ordinal)
            side.marker()
            side.control(end)
        for side in sides:
            side.flush()
        auditor.until(lambda verdict: verdict.count(Kind.INCOMPLETE) >= 3 and verdict.count(Kind.MISSING) >= 1)
        assert not auditor.healthy
    finally:
        auditor.close()
        writer.close()
    verdict = auditor.audit.verdict()
    assert (verdict.count(Kind.MISSING), verdict.count(Kind.INCOMPLETE)) == (1, 3)
    told = [decode_control(value) for value in mirror_bench.copies(audit_topic(feed), 4, within_s=5)]
    assert {(event.kind, event.stream, event.feed) for event in told} == {(ControlKind.GAP, "eu->us", feed)}
    ordinals = {(event.sequence, event.to_sequence) for event in told if event.shard == "shardId-1"}
    assert ordinals == {(11, 12), (20, 20)}
    assert sum("mirror-missing" in event.reason for event in told) == 1
