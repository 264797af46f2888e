"""The replay on a real broker, a real S3 server and DynamoDB: what it is for, and what must not happen."""

from __future__ import annotations

import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.kafka import describe_topics
from consumers.runtime.start import LapsedError
from feed.local import Broker, DynamoDbLocal, ObjectStore, Site
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.testing import create_topics, until
from producers.replay import ReplayWriter
from schemas.change import Change
from schemas.errors import FatalError
from schemas.headers import facts_of
from schemas.replay import marker_of
from tests.integration.replay.replay_feed import PARTITIONS, ReplayFeed, make_feed
from tests.unit.order_changes import life

pytestmark = pytest.mark.integration

DAY_MS = 24 * 3_600_000
NOW_MS = time.time_ns() // 1_000_000
STATUSES = ("created", "paid", "packed", "shipped", "delivered")
ORDERS = [f"o-{n:03d}" for n in range(30)]


@pytest.fixture(scope="module")
def broker(local_site: Site) -> Iterator[Broker]:
    """A broker whose retention looks every second."""
    java = require_java(install=local_site.settings.install_missing)
    every_second = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "500"}
    part = Broker("replays", local_site, java=java, jars=kafka_jars(local_site.settings), properties=every_second)
    try:
        part.start()
        part.wait_ready()
        yield part
    finally:
        part.finish()


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes notifications: its address and what was posted."""
    posts: list[bytes] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", posts
    server.shutdown()
    server.server_close()


@pytest.fixture
def feed(
    broker: Broker,
    dynamodb_local: DynamoDbLocal,
    s3_server: ObjectStore,
    unique_name: Callable[[str], str],
    tmp_path: Path,
    webhook: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> ReplayFeed:
    monkeypatch.setattr("feed.replay.replayer.WAIT_POLL_S", 0.2)
    return make_feed(unique_name("orders"), broker.bootstrap, dynamodb_local, s3_server, tmp_path, webhook=webhook[0])


def lives(at_ms: int = NOW_MS - 600_000) -> list[list[Change]]:
    """Five changes of each order, with ordinals, an hour at most apart: step by step of all orders."""
    steps: list[list[Change]] = [[] for _ in STATUSES]
    ordinal = 0
    changes = {order: life(*STATUSES, order_id=order, base=1_000 * n) for n, order in enumerate(ORDERS)}
    for step in range(len(STATUSES)):
        for order in ORDERS:
            each = changes[order][step]
            source = replace(each.source, ordinal=ordinal)
            steps[step].append(
                replace(each, source=source, occurred_at_ms=at_ms + 1_000 * ordinal, captured_at_ms=at_ms)
            )
            ordinal += 1
    return steps


def iso(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000))


def check_picks(feed: ReplayFeed, steps: int) -> None:
    """Every order has its pick, and acted on each of its changes once: none missing, none twice."""
    for order in ORDERS:
        pick = feed.pick(order)
        acted = [entry["S"] for entry in pick.get("seen", [])]
        assert acted == [f"{n}:{STATUSES[n - 1]}" for n in range(1, steps + 1)], order
        assert pick["orderStatus"] == STATUSES[steps - 1]


def test_the_warehouse_is_filled_again_after_retention_lapsed(feed: ReplayFeed) -> None:
    """It stops with the gap and the hint; replayed beside the live topic, every pick acted on every change once."""
    steps = lives()
    feed.publish(steps[0])
    with feed.consumer("warehouse"):
        until(lambda: feed.caught_up("warehouse"), "the warehouse")
    read = [high for _, high in feed.spans()]
    feed.publish(steps[1])
    feed.publish(steps[2])
    gone = [high for _, high in feed.spans()]
    feed.publish(steps[3])
    feed.archive_all()
    feed.trim(gone)
    stopped = type("", (), {})
    with feed.consumer("warehouse") as warehouse:
        stopped = warehouse.failed()
    assert isinstance(stopped, LapsedError)
    assert "feed replay" in stopped.hint
    assert [low for low, _ in feed.spans()] == gone > read

    begin = ("--group", "warehouse", "--from", iso(steps[0][0].occurred_at_ms))
    short = feed.run(*begin, "--to", iso(steps[1][0].occurred_at_ms))
    assert (short.exit_code, "begins after --to on partitions [0, 1]" in short.output) == (2, True), short.output
    late = feed.run("--group", "warehouse", "--from", iso(steps[2][0].occurred_at_ms))
    assert (late.exit_code, "lacks changes of partitions [0, 1]" in late.output) == (2, True), late.output
    begin = ("--group", "warehouse")  # from where the group's commits say, to where the archive reaches
    dry = feed.run(*begin, "--dry-run")
    assert (dry.exit_code, "120 changes" in dry.output) == (0, True), dry.output
    assert describe_topics(feed.kafka.admin(), [f"{feed.name}.replay.warehouse"]) == {}
    sent = feed.run(*begin)
    assert (sent.exit_code, "120 changes sent" in sent.output) == (0, True), sent.output
    again = feed.run(*begin)
    assert (again.exit_code, "is sent whole" in again.output) == (2, True), again.output

    early = feed.run("--group", "warehouse", "--finish")
    assert (early.exit_code, "is not read whole" in early.output) == (2, True), early.output
    with feed.consumer("warehouse") as warehouse:
        feed.publish(steps[4])
        waited = feed.run("--group", "warehouse", "--wait")
        assert waited.exit_code == 0, waited.output
        until(lambda: feed.caught_up("warehouse"), "the warehouse on the live topic")
        value = warehouse.process.telemetry.registry.get_sample_value
        acted = value("feed_warehouse_changes_total", {"outcome": "acted"})
        assert acted == 4 * len(ORDERS)
    check_picks(feed, 5)
    assert describe_topics(feed.kafka.admin(), [f"{feed.name}.replay.warehouse"]) == {}


def test_sixty_days_old_events_outlive_the_cleaner(feed: ReplayFeed, broker: Broker) -> None:
    """Retention deletes old events where their own time counts, and not one of the replay under its reader."""
    steps = lives(NOW_MS - 60 * DAY_MS)
    feed.publish(change for step in steps for change in step)
    feed.archive_all()
    mortal = f"{feed.name}.mortal"
    create_topics(broker.bootstrap, {mortal: PARTITIONS}, settings={"retention.ms": str(DAY_MS)})
    sent = feed.run("--group", "warehouse", "--from", iso(NOW_MS - 61 * DAY_MS))
    assert sent.exit_code == 0, sent.output
    feed.publish((change for step in steps for change in step), topic=mortal)
    until(lambda: all(low > 0 for low, _ in feed.spans(mortal)), "the cleaner to delete old events")
    topic = f"{feed.name}.replay.warehouse"
    assert [low for low, _ in feed.spans(topic)] == [0, 0]
    assert sum(len(log) for log in feed.replayed(topic)) == 5 * len(ORDERS) + 2 * PARTITIONS


def test_killed_at_every_named_point_and_gone_on_with(feed: ReplayFeed) -> None:
    """kill -9 behind the begin, before and after commits, before and after the end: each change is there once."""
    steps = lives()
    flat = [change for step in steps for change in step]
    feed.publish(flat)
    feed.archive_all()
    topic = f"{feed.name}.replay.warehouse"
    first, last = str(flat[0].occurred_at_ms), str(flat[-1].occurred_at_ms + 1)
    assert feed.command(first, last, die_at="after-begin") == -9
    under_way = feed.run("--group", "warehouse", "--from", "2020-01-01T00:00:00")
    assert (under_way.exit_code, "0 of 150 changes are sent" in under_way.output) == (2, True), under_way.output
    for point, times in (("before-commit", 2), ("after-commit", 2), ("before-end", 1), ("after-end", 1)):
        assert feed.command("--resume", die_at=point, times=times) == -9, point
    frozen = ReplayWriter.take(feed.kafka, topic, commit_timeout_ms=5_000)
    frozen.begin()
    frozen.send(0, b"o-1", b"from a command that was stopped for a while", [])
    ReplayWriter.take(feed.kafka, topic, commit_timeout_ms=5_000)
    with pytest.raises(FatalError) as fenced:
        frozen.commit()
    assert "has taken over" in fenced.value.hint
    ended = feed.run("--group", "warehouse", "--resume")
    assert (ended.exit_code, "is sent whole" in ended.output) == (2, True), ended.output
    logs = feed.replayed(topic)
    found: Counter[str] = Counter()
    for log in logs:
        headers = [message.headers() for message in log]
        begin, end = marker_of(headers[0]), marker_of(headers[-1])
        facts = [facts_of(each) for each in headers[1:-1]]
        assert begin is not None
        assert end is not None
        assert (begin.kind, end.kind, end.count) == ("begin", "end", len(facts))
        assert [fact.version for fact in facts] == sorted(fact.version for fact in facts)
        assert all(message.timestamp()[0] == 2 for message in log), "not the time of its arrival"
        found.update(fact.event_id for fact in facts)
    assert found == Counter(change.source.event_id for change in flat)
    by_id: dict[str, Any] = {}
    for change in flat:
        by_id[change.source.event_id] = change
    with feed.consumer("warehouse"):
        until(lambda: feed.caught_up("warehouse", topic), "the replay, read")
        until(lambda: feed.caught_up("warehouse"), "the live topic, read")
    check_picks(feed, 5)
    assert feed.run("--group", "warehouse", "--finish").exit_code == 0


def test_what_the_archive_lacks_is_refused(feed: ReplayFeed) -> None:
    """A missing ordinal, or a --to that the archive has not reached, is told and refused; unless gaps are accepted."""
    steps = lives()
    whole = [change for step in steps[:2] for change in step]
    feed.publish(change for change in whole if change.source.ordinal != 17)
    feed.archive_all()
    begin = ("--group", "warehouse", "--from", iso(whole[0].occurred_at_ms))
    refused = feed.run(*begin)
    assert (refused.exit_code, "lacks ordinals 17 of shardId-1" in refused.output) == (2, True), refused.output
    assert describe_topics(feed.kafka.admin(), [f"{feed.name}.replay.warehouse"]) == {}
    feed.publish(steps[2])
    behind = feed.run(*begin, "--dry-run", "--to", iso(NOW_MS))
    assert behind.exit_code == 1
    assert "gap: the archive reaches up to" in behind.output
    accepted = feed.run(*begin, "--accept-gaps")
    assert (accepted.exit_code, "59 changes sent" in accepted.output) == (0, True), accepted.output
    assert feed.run("--group", "warehouse", "--abort").exit_code == 0
    one = feed.run(*begin, "--order", ORDERS[3], "--accept-gaps")
    assert (one.exit_code, "2 changes sent" in one.output) == (0, True), one.output


def test_notifications_stay_silent(feed: ReplayFeed, webhook: tuple[str, list[bytes]]) -> None:
    """No replay can be made for them; a topic made by hand is not read, a replayed change in their own tells nobody."""
    _, posts = webhook
    refused = feed.run("--group", "notification", "--from", iso(NOW_MS))
    assert (refused.exit_code, "takes no replay" in refused.output) == (2, True), refused.output
    unknown = feed.run("--group", "warehose", "--from", iso(NOW_MS))
    assert (unknown.exit_code, "those that take replays: warehouse" in unknown.output) == (2, True), unknown.output
    topic = f"{feed.name}.replay.notification"
    create_topics(feed.config.source.kafka.bootstrap_servers, {topic: PARTITIONS})
    steps = lives()
    feed.publish(steps[1], ("ce_replay", b"r-1"), topic=topic)
    feed.publish(steps[1], ("ce_replay", b"r-1"))
    with feed.consumer("notification") as running:
        until(lambda: feed.caught_up("notification"), "the notifications")
        assert posts == []
        feed.publish(steps[1][:1])
        until(lambda: len(posts) == 1, "one live message")
        until(lambda: feed.caught_up("notification"), "the notifications")
        value = running.process.telemetry.registry.get_sample_value
        passed = value("feed_consumer_passed_over_total", {"sink": "notification", "reason": "replay"})
        assert passed == len(ORDERS)
    assert len(posts) == 1
