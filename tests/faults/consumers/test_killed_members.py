"""Warehouse processes killed, frozen and rebalanced at named points, on a real cluster and a real table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feed.testing import until
from tests.faults.consumers.effects import Picks
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import OrdersTopic
from tests.faults.consumers.outage import TINY, outage
from tests.unit.order_changes import life

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def bench(kafka_broker: Any, dynamodb_local: Any, local_site: Any, tmp_path: Path) -> Iterator[GroupBench]:
    """The warehouse's group, without a member yet."""
    topic = OrdersTopic(kafka_broker.bootstrap)
    made = GroupBench(topic, Picks(dynamodb_local.endpoint), local_site, tmp_path)
    yield made
    topic.close()
    made.close()


@pytest.mark.parametrize("point", ["before-effect", "after-effect", "while-parked"])
def test_killed_in_the_middle_of_work(bench: GroupBench, point: str) -> None:
    """Killed before an effect, between effect and commit, with a key parked: no pick missing, none twice, in order."""
    bench.topic.feed(120)
    bench.member("steady")
    bench.member("dying", point, after=40 if point.endswith("effect") else 1)
    until(lambda: bench.struck("dying", point), f"the death at {point}")
    bench.member("dying")
    bench.advance()
    bench.topic.end_feed()
    bench.drained()
    bench.effects.check_all(bench.topic)
    assert bench.dead_letters() == []


@pytest.mark.parametrize("point", ["in-revoke", "settled-not-committed"])
def test_killed_while_partitions_are_taken_away(bench: GroupBench, point: str) -> None:
    """Killed inside a revoke, before or after it has settled: the next owner repeats without a second effect."""
    bench.topic.feed(120)
    bench.member("dying", point, after=1)
    until(lambda: all(offset > 0 for offset in bench.committed().values()), "work")
    bench.member("joining")
    until(lambda: bench.struck("dying", point), f"the death at {point}")
    bench.advance()
    bench.topic.end_feed()
    bench.drained()
    bench.effects.check_all(bench.topic)


def test_frozen_longer_than_its_session(bench: GroupBench) -> None:
    """A member that is frozen past its session loses its partitions; when it wakes it neither commits nor doubles."""
    bench.topic.feed(120)
    frozen = bench.member("frozen")
    bench.member("steady")
    bench.shared(2)
    bench.advance()
    frozen.pause()
    began = time.monotonic()
    bench.advance()  # once the session is over the other has all partitions
    assert time.monotonic() - began > 3, "nothing was frozen"
    frozen.resume()
    bench.shared(2)
    bench.advance()
    bench.topic.end_feed()
    bench.drained()
    bench.effects.check_all(bench.topic)


def test_a_group_that_is_set_back_is_told(bench: GroupBench) -> None:
    """Somebody resets the group while its member is away: health says rewind, and no effect is made twice."""
    bench.topic.feed(60)
    member = bench.member("one")
    bench.advance()  # to the first commit, which may be that of the start
    bench.advance()
    assert "rewind" not in bench.health("one")
    member.pause()
    until(lambda: bench.shares() == 0, "the group without its member")
    bench.topic.end_feed()
    bench.set_back(0)
    member.resume()
    until(lambda: f"RED {bench.name}[0] rewind" in bench.health("one"), "red health")
    bench.drained()
    bench.effects.check_all(bench.topic)


def test_members_come_and_go(bench: GroupBench) -> None:
    """Three members, one of which is stopped in order and started again, twice: every partition gets on between."""
    bench.topic.feed(120)
    for name in ("one", "two", "three"):
        bench.member(name)
    for name in ("one", "two"):
        bench.shared(3)
        bench.advance()
        began = time.monotonic()
        bench.members[name].stop()
        assert time.monotonic() - began < 30, "SIGTERM was not answered in time"
        bench.member(name)
    bench.shared(3)
    bench.advance()
    bench.topic.end_feed()
    bench.drained()
    bench.effects.check_all(bench.topic)


def test_poison_among_orders(bench: GroupBench) -> None:
    """One poison record: one dead letter, and the next records of the same partition flow within a second."""
    bench.member("one")
    first, second = life("created", "paid")
    bench.topic.put(first)
    assert bench.topic.producer.flush(30) == 0
    bench.drained()
    bench.topic.producer.produce(bench.topic.name, b"not a change", "o-1")
    bench.topic.put(second)
    assert bench.topic.producer.flush(30) == 0
    began = time.monotonic()
    assert isinstance(bench.effects, Picks)
    picks = bench.effects
    until(lambda: picks.pick("o-1")["orderStatus"] == "paid", "the next record")
    assert time.monotonic() - began < 10, "a second, and room for a busy machine"
    bench.drained()
    (letter,) = bench.dead_letters()
    assert (letter.key(), letter.value()) == (b"o-1", b"not a change")


def test_the_table_is_down(kafka_broker: Any, dynamodb_on_disk: Any, local_site: Any, tmp_path: Path) -> None:
    """The table is gone under load: only retries, no dead letter, what is held stays bounded, recovery in order."""
    topic = OrdersTopic(kafka_broker.bootstrap)
    group = GroupBench(topic, Picks(dynamodb_on_disk.endpoint), local_site, tmp_path, TINY)
    try:
        group.member("one")
        seen = outage(group, dynamodb_on_disk, seconds=8, rate=80)
        assert seen.retries > 0
        assert seen.most["paused"] == 1, "the bound was not reached"
        assert TINY["max_held_records"] <= seen.most["held_records"] < TINY["max_held_records"] + TINY["fetch_records"]
        log = group.members["one"].log_path.read_text()
        assert "outage begins" in log
        assert "outage ends" in log
    finally:
        topic.close()
        group.close()


def test_the_cluster_is_killed_and_comes_back(bench: GroupBench, kafka_broker: Any) -> None:
    """The broker is killed under load and comes back: members live through it and go on, nothing missing or twice."""
    for name in ("one", "two"):
        bench.member(name)
    bench.topic.feed(80)
    bench.shared(2)
    bench.advance()
    kafka_broker.kill()
    time.sleep(3)  # the outage itself
    kafka_broker.restart()
    bench.advance()
    bench.topic.end_feed()
    bench.drained()
    bench.effects.check_all(bench.topic)
    assert bench.dead_letters() == []
    assert all(program.pid is not None for program in bench.members.values()), "a member gave up"
