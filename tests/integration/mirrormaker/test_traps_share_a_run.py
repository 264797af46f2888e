"""What rules of the doctor claim, seen on two MirrorMakers that each run a file with many bad lines.

One starts in ten seconds and shows many traps at once: each test has topics of its own. Tests that kill or freeze the
process come last in each half. Traps that need a process to themselves are in ``test_traps_are_real.py``.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from feed.testing import create_topics, unique_name, until
from mirrormaker import render_dedicated
from mirrormaker.audit import Kind
from mirrormaker.doctor import diagnose
from mirrormaker.failover.checkpoints import Checkpoint, read_checkpoints
from mirrormaker.render.names import dedicated_names
from mirrormaker.status import FlowStatus, flow_status
from mirrormaker.status.asking import compacted
from tests.integration.mirrormaker.mirror_bench import Auditor, JavaMain, MirrorBench, clients_of, now_ms

pytestmark = pytest.mark.integration

COPIED_WITHIN_S = 60


def codes(text: str) -> set[str]:
    return {finding.code for finding in diagnose({"mm2.properties": text}).findings}


class BadRun:
    """A MirrorMaker that runs a bad file; the topics it copies begin with ``name``."""

    def __init__(self, bench: MirrorBench, name: str, text: str, *targets: str) -> None:
        self.bench = bench
        self.name = name
        self.text = text
        self.codes = codes(text)
        self.part = bench.mirror(f"mirror-{name}", text, targets=targets or ("us",))

    def topic(self, word: str) -> str:
        return f"{self.name}.{word}"

    def until_copied(self, topic: str, count: int) -> list[bytes]:
        copies = self.bench.copies(topic, count, within_s=COPIED_WITHIN_S)
        assert len(copies) >= count, copies
        return copies

    def status(self) -> FlowStatus:
        flow = self.bench.flow(self.name)
        clients = {region: clients_of(self.bench, region) for region in ("eu", "us")}
        return flow_status(
            flow,
            dedicated_names(flow),
            source=clients["eu"],
            target=clients["us"],
            now_ms=lambda: time.time_ns() // 10**6,
        )


def without(text: str, *keys: str) -> str:
    """A file without the lines of these keys."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if line.split(" = ")[0] not in keys) + "\n"


TOPICS = ("one", "aborted", "internal", "kept", "gone", "large")
"""Of the first run; made before it starts, so that no test waits until they are noticed."""


@pytest.fixture(scope="class")
def once(mirror_bench: MirrorBench) -> Iterator[BadRun]:
    """Exactly once is on, and most that belongs to it is missing. A third cluster sends with an interval."""
    name = unique_name("once")
    good = render_dedicated(mirror_bench.flow(name))
    bad = without(
        good.replace("clusters = eu, us", "clusters = eu, us, ap")
        .replace("eu.consumer.isolation.level", "consumer.isolation.level")
        .replace("sync.topic.configs.enabled = false", "sync.topic.configs.enabled = true")
        .replace(f"topics = {name}, {name}\\\\.control", f"eu->us.topics = {name}\\\\..*"),
        "emit.heartbeats.enabled",
        "us.producer.max.request.size",
        "us.producer.transaction.timeout.ms",
    )
    bad += "\n".join(
        (
            "sync.topic.configs.interval.seconds = 2",
            f"ap.bootstrap.servers = {mirror_bench.bootstrap('eu')}",
            "ap->us.enabled = true",
            f"ap->us.topics = slow-{name}",
            "ap->us.transaction.boundary = interval",
            "ap->us.exactly.once.support = required",
            "ap.consumer.isolation.level = read_committed",
        )
    )
    for word in TOPICS:
        for region in ("eu", "us"):
            settings = {"max.message.bytes": "4300000"}
            if (word, region) == ("kept", "us"):
                settings["retention.ms"] = "86400000"
            create_topics(mirror_bench.bootstrap(region), {f"{name}.{word}": 1}, settings=settings)
    for region in ("eu", "us"):
        create_topics(mirror_bench.bootstrap(region), {f"slow-{name}": 1})
    run = BadRun(mirror_bench, name, bad)
    yield run
    run.part.finish()


def open_transactions(part: JavaMain, bootstrap: str, topic: str) -> set[int]:
    """The timeouts of the transactions that hold a partition, as the broker has them, in ms."""

    def ask(*words: str) -> list[dict[str, str]]:
        command = part.tool("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", bootstrap, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        head, *rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
        return [dict(zip((name.strip() for name in head), map(str.strip, row), strict=False)) for row in rows]

    ids = [row["TransactionalId"] for row in ask("list") if row["TransactionState"] == "Ongoing"]
    rows = [row for one in ids for row in ask("describe", "--transactional-id", one)]
    return {int(row["TransactionTimeoutMs"]) for row in rows if f"{topic}-0" in row["TopicPartitions"]}


def longest_delay_ms(log: bytes) -> int:
    words = [part.split(b"}")[0].split(b",")[0] for part in log.split(b"delay=")[1:]]
    return max((int(word) for word in words if word.strip().isdigit()), default=0)


PLAIN_TOPICS = ("twice", "group", "old", "new", "factor", "loop", "partitions")


@pytest.fixture(scope="class")
def plain(mirror_bench: MirrorBench) -> Iterator[BadRun]:
    """Little more than Kafka's defaults, and two ways with the identity policy."""
    name = unique_name("plain")
    settings = {
        "clusters": "eu, us",
        "eu.bootstrap.servers": mirror_bench.bootstrap("eu"),
        "us.bootstrap.servers": mirror_bench.bootstrap("us"),
        "eu->us.enabled": "true",
        "eu->us.topics": f"{name}\\\\..*",
        "us->eu.enabled": "true",
        "us->eu.topics": f"{name}\\\\.loop",
        "groups": f"{name}\\\\..*",
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "offset-syncs.topic.replication.factor": "1",
        "checkpoints.topic.replication.factor": "1",
        "heartbeats.topic.replication.factor": "1",
        "emit.heartbeats.enabled": "false",
        # another mirror's heartbeats would be copied to a topic that cannot be made, and hold up what their task copies
        "heartbeats.replication.enabled": "false",
        "config.properties.exclude": "retention.ms, message.timestamp.*",
        "emit.checkpoints.interval.seconds": "1",
        "us.session.timeout.ms": "6000",
        "us.heartbeat.interval.ms": "2000",
        "plugin.discovery": "service_load",
    }
    for region in ("eu", "us"):
        for kind in ("offset", "config", "status"):
            settings[f"{region}.{kind}.storage.replication.factor"] = "1"
        settings[f"{region}.offset.storage.partitions"] = "1"
        settings[f"{region}.plugin.discovery"] = "service_load"
    for word in PLAIN_TOPICS:
        for region in ("eu", "us"):
            if (word, region) == ("factor", "us"):
                continue
            kept = {"retention.ms": "300000"} if region == "us" and word in {"old", "new"} else {}
            kept |= {"message.timestamp.type": "LogAppendTime"} if region == "us" and word == "new" else {}
            create_topics(mirror_bench.bootstrap(region), {f"{name}.{word}": 1}, settings=kept)
    text = "".join(f"{key} = {value}\n" for key, value in settings.items())
    run = BadRun(mirror_bench, name, text, "us", "eu")
    for number in range(90):  # one offset each: a transaction's mark would take another
        plain_produce(run, "group", {b"%d" % number: None})
    commit(run, "group", 45)
    yield run
    run.part.finish()


def plain_produce(run: BadRun, word: str, records: Mapping[bytes, int | None]) -> None:
    """Records, and their times in ms."""
    producer = Producer({"bootstrap.servers": run.bench.bootstrap("eu"), "linger.ms": 0})
    for value, at_ms in records.items():
        producer.produce(run.topic(word), value, **({} if at_ms is None else {"timestamp": at_ms}))
    assert producer.flush(30) == 0


def group_of(run: BadRun, region: str, word: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": run.bench.bootstrap(region),
            "group.id": f"{run.name}.{word}",
            "enable.auto.commit": False,
        }
    )


def commit(run: BadRun, word: str, offset: int) -> None:
    consumer = group_of(run, "eu", word)
    consumer.commit(offsets=[TopicPartition(run.topic(word), 0, offset)], asynchronous=False)
    consumer.close()


def checkpoint_of(run: BadRun, group: str) -> Checkpoint | None:
    reader = clients_of(run.bench, "us").reader()
    try:
        records = compacted(reader, "eu.checkpoints.internal", now_ms)
    finally:
        reader.close()
    return next((one for one in read_checkpoints(records) if one.group == group), None)


class TestExactlyOnceHalfDone:
    """What the file of ``once`` does."""

    def test_aborted_records_are_copied(self, once: BadRun) -> None:
        """MM02, MM04: without `eu.` in front the line reaches no consumer, and aborted records are copied."""
        assert {"MM02", "MM04"} <= once.codes
        topic = once.topic("aborted")
        once.bench.produce(topic, [b"aborted"] * 20, abort=True)
        once.bench.produce(topic, [b"committed"] * 20)
        assert once.until_copied(topic, 40).count(b"aborted") == 20

    def test_a_herder_for_every_pair(self, once: BadRun) -> None:
        """MM10: a third name in `clusters` with heartbeats on starts one for a pair that the file never names."""
        assert "MM10" in once.codes
        once.part.wait_for(b"creating herder for ap->us")

    def test_required_in_dedicated_mode(self, once: BadRun) -> None:
        """MM05: two of the three connectors refuse the line."""
        assert "MM05" in once.codes
        once.part.wait_for(b"Failed to configure MirrorHeartbeatConnector connector for ap->us")
        once.part.wait_for(b"Failed to configure MirrorCheckpointConnector connector for ap->us")

    def test_topics_that_end_in_internal_are_copied(self, once: BadRun) -> None:
        """MM29: a wide pattern takes `<name>.internal` since 4.0."""
        assert "MM29" in once.codes
        once.bench.produce(once.topic("internal"), [b"one"])
        assert once.until_copied(once.topic("internal"), 1) == [b"one"]

    def test_the_targets_retention_is_wiped(self, once: BadRun) -> None:
        """MM13: with the sync on, what the source does not set is deleted at the target."""
        assert "MM13" in once.codes
        kept = once.topic("kept")
        until(lambda: once.bench.topic_setting("us", kept, "retention.ms") != "86400000", "retention goes", within_s=90)

    def test_a_transaction_of_a_minute_outlives_its_writer(self, once: BadRun, tmp_path: Path) -> None:
        """MM07, MM39, MM25: what an interval, a timeout of a minute and a trimmed source do, around one kill -9.

        With an interval and no length of it, copies are there and not to be read. Killed then, the transaction stays
        open for a minute by its own timeout. And what expires at the source while the copy is down never comes: the
        task runs on and says nothing, the audit tells it.
        """
        assert {"MM07", "MM39", "MM25"} <= once.codes
        bench, slow, gone = once.bench, f"slow-{once.name}", once.topic("gone")
        bench.produce(slow, [b"slow"])
        bench.produce(gone, [b"first %d" % number for number in range(50)])
        once.until_copied(gone, 50)
        until(lambda: bench.marks("us", slow)[0][1] > 0, "a copy was written", within_s=COPIED_WITHIN_S)
        assert bench.copies(slow, 1, within_s=4) == []
        once.part.kill()
        state = tmp_path / "audit.json"
        assert Auditor(bench, gone, state_file=state).once().equal
        bench.produce(gone, [b"expires %d" % number for number in range(50)])
        bench.trim("eu", gone)
        bench.produce(gone, [b"last %d" % number for number in range(50)])
        assert open_transactions(once.part, bench.bootstrap("us"), slow) == {60_000}
        once.part.restart()
        copies = once.until_copied(gone, 100)
        assert sorted(copies) == sorted(b"%s %d" % (word, n) for word in (b"first", b"last") for n in range(50))
        assert {task.state for task in once.status().tasks if task.copies} == {"RUNNING"}
        verdict = Auditor(bench, gone, state_file=state).once()
        assert verdict.count(Kind.TRIMMED) >= 50
        assert verdict.matched == 50

    def test_a_record_larger_than_the_request(self, once: BadRun) -> None:
        """MM40: with the default size the task fails for good at the first large change."""
        assert "MM40" in once.codes
        once.bench.produce(once.topic("large"), [os.urandom(1_500_000)])
        once.part.wait_for(b"Task is being killed and will not recover until manually restarted")
        assert b"RecordTooLargeException" in once.part.log()


class TestKafkasDefaults:
    """What the file of ``plain`` does."""

    def test_one_task_copies_everything(self, plain: BadRun) -> None:
        """MM16: without `tasks.max` one task has all partitions."""
        assert "MM16" in plain.codes
        plain_produce(plain, "partitions", {b"one": None})
        plain.until_copied(plain.topic("partitions"), 1)
        tasks = [task for task in plain.status().tasks if task.copies]
        assert len(tasks) == 1

    def test_new_partitions_are_not_seen(self, plain: BadRun) -> None:
        """MM17: what comes into a partition that is new waits for the next look, ten minutes later."""
        assert "MM17" in plain.codes
        topic = plain.topic("partitions")
        plain.until_copied(topic, 1)
        for region in ("eu", "us"):
            admin = AdminClient({"bootstrap.servers": plain.bench.bootstrap(region)})
            for answer in admin.create_partitions([NewPartitions(topic, 2)]).values():
                answer.result(20)
        producer = Producer({"bootstrap.servers": plain.bench.bootstrap("eu")})
        producer.produce(topic, b"in the new", partition=1)
        producer.produce(topic, b"in the old", partition=0)
        assert producer.flush(30) == 0
        assert b"in the old" in plain.until_copied(topic, 2)
        assert b"in the new" not in plain.bench.copies(topic, 3, within_s=5)

    def test_a_topic_with_two_replicas_on_one_broker(self, plain: BadRun) -> None:
        """MM12: the topic is not made at the target, and nothing says so but the log."""
        assert "MM12" in plain.codes
        plain.part.wait_for(b"InvalidReplicationFactorException")
        assert plain.topic("factor") not in plain.bench.topics("us")

    def test_group_offsets_are_rough_and_not_written(self, plain: BadRun) -> None:
        """MM18, MM19: at 45 of 90 records the checkpoint is not past the first, and the group has no offset in us."""
        assert "MM19" in plain.codes
        assert "MM18" in codes(f"{plain.text}sync.group.offsets.enabled = true\n")
        plain.until_copied(plain.topic("group"), 90)
        group = f"{plain.name}.group"
        checkpoint = until(lambda: checkpoint_of(plain, group), "a checkpoint", within_s=60)
        assert (checkpoint.upstream, checkpoint.downstream) == (45, 1)
        asker = group_of(plain, "us", "group")
        committed = asker.committed([TopicPartition(plain.topic("group"), 0)], timeout=20)
        asker.close()
        assert committed[0].offset < 0

    def test_copies_that_expire_on_arrival(self, plain: BadRun) -> None:
        """MM41: with the source's times, records older than the target's retention are deleted when they arrive.

        With LogAppendTime, as our topics have it, the same records stay. (With exactly once the mark of their
        transaction has the time of arrival and keeps the segment.)
        """
        assert "MM41" in plain.codes
        an_hour_ago_ms = int((time.time() - 3600) * 1000)
        for word in ("old", "new"):
            plain_produce(plain, word, {b"%d" % number: an_hour_ago_ms for number in range(20)})
        until(lambda: plain.bench.marks("us", plain.topic("old")) == [(20, 20)], "they are gone", within_s=60)
        assert plain.until_copied(plain.topic("new"), 20) == [b"%d" % number for number in range(20)]

    def test_what_came_before_a_kill_comes_again(self, plain: BadRun) -> None:
        """MM09: without exactly once, what was copied since the last flush of offsets is copied twice."""
        assert "MM09" in plain.codes
        plain_produce(plain, "twice", {b"one": None})
        plain.until_copied(plain.topic("twice"), 1)
        plain.part.kill()
        plain.part.restart()
        assert plain.until_copied(plain.topic("twice"), 2) == [b"one", b"one"]

    def test_an_endless_loop(self, plain: BadRun) -> None:
        """MM11: one record, two ways and no prefix: it goes round and round."""
        assert "MM11" in plain.codes
        plain_produce(plain, "loop", {b"one": None})
        assert set(plain.until_copied(plain.topic("loop"), 10)) == {b"one"}

    def test_a_lost_workers_tasks_wait_for_five_minutes(self, plain: BadRun) -> None:
        """MM08: a second node joins and is killed: the first gives its tasks to nobody for 300 s."""
        assert "MM08" in plain.codes
        second = plain.bench.mirror(f"mirror-{plain.name}-2", plain.text)
        try:
            until(lambda: assigned(second.log()), "the second node has work", within_s=60)
            second.kill()
            until(lambda: longest_delay_ms(plain.part.log()) > 280_000, "the delay is told", within_s=60)
        finally:
            second.finish()


def assigned(log: bytes) -> bool:
    """Some assignment of the flow's worker had a task in it."""
    told = [line for line in log.splitlines() if b"clientId=eu->us" in line and b"got assignment" in line]
    return any(b"taskIds=[Mirror" in line for line in told)
