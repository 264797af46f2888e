"""Warehouse processes killed, frozen and rebalanced at named points, on a real cluster and a real table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.consumers.group_bench import WITHIN_S, GroupBench
from tests.unit.consumers.consumer_contract import until
from tests.unit.order_changes import life

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def bench(kafka_broker: Any, dynamodb_local: Any, local_site: Any, tmp_path: Path) -> Iterator[GroupBench]:
    made = GroupBench(kafka_broker.bootstrap, dynamodb_local.endpoint, local_site, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("point", ["before-effect", "after-effect", "while-parked"])
def test_killed_in_the_middle_of_work(bench: GroupBench, point: str) -> None:
    """Killed before an effect, between effect and commit, with a key parked: no pick missing, none twice, in order."""
    bench.feed(120)
    bench.member("steady")
    bench.member("dying", point, after=40 if point.endswith("effect") else 1)
    until(bench.witness("dying").exists, f"the kill at {point}", WITHIN_S)
    bench.member("dying")
    bench.advance()
    bench.end_feed()
    bench.drained()
    bench.check_picks()
    assert bench.dead_letters() == []


@pytest.mark.parametrize("point", ["in-revoke", "settled-not-committed"])
def test_killed_while_partitions_are_taken_away(bench: GroupBench, point: str) -> None:
    """Killed inside a revoke, before or after it has settled: the next owner repeats without a second effect."""
    bench.feed(120)
    bench.member("dying", point, after=1)
    until(lambda: all(offset > 0 for offset in bench.committed().values()), "work", WITHIN_S)
    bench.member("joining")
    until(bench.witness("dying").exists, f"the kill at {point}", WITHIN_S)
    bench.advance()
    bench.end_feed()
    bench.drained()
    bench.check_picks()


def test_frozen_longer_than_its_session(bench: GroupBench) -> None:
    """A member that is frozen past its session loses its partitions; when it wakes it neither commits nor doubles."""
    bench.feed(120)
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
    bench.end_feed()
    bench.drained()
    bench.check_picks()


def test_members_come_and_go(bench: GroupBench) -> None:
    """Three members, one of which is stopped in order and started again, twice: every partition gets on between."""
    bench.feed(120)
    for name in ("one", "two", "three"):
        bench.member(name)
    for name in ("one", "two"):
        bench.shared(3)
        bench.advance()
        began = time.monotonic()
        bench.members[name].stop()
        assert time.monotonic() - began < 8, "SIGTERM was not answered in time"
        bench.member(name)
    bench.shared(3)
    bench.advance()
    bench.end_feed()
    bench.drained()
    bench.check_picks()


def test_poison_among_orders(bench: GroupBench) -> None:
    """One poison record: one dead letter, and the next records of the same partition flow within a second."""
    bench.member("one")
    first, second = life("created", "paid")
    bench.put(first)
    assert bench.producer.flush(30) == 0
    bench.drained()
    bench.producer.produce(bench.topic, b"not a change", "o-1")
    bench.put(second)
    assert bench.producer.flush(30) == 0
    began = time.monotonic()
    until(lambda: bench.pick("o-1")["orderStatus"] == "paid", "the next record", 10)
    assert time.monotonic() - began < 3, "a second, and room for a busy machine"
    bench.drained()
    (letter,) = bench.dead_letters()
    assert (letter.key(), letter.value()) == (b"o-1", b"not a change")


def test_the_table_is_down(kafka_broker: Any, dynamodb_on_disk: Any, local_site: Any, tmp_path: Path) -> None:
    """The table is gone for a while under load: only retries, no dead letter, full recovery, order kept."""
    bench = GroupBench(kafka_broker.bootstrap, dynamodb_on_disk.endpoint, local_site, tmp_path, {"retry_cap_ms": 2_000})
    try:
        bench.member("one")
        bench.feed(80)
        bench.advance()
        dynamodb_on_disk.kill()
        time.sleep(12)  # the outage itself
        dynamodb_on_disk.restart()
        bench.advance()
        bench.end_feed()
        bench.drained()
        bench.check_picks()
        assert bench.dead_letters() == []
        log = bench.members["one"].log_path.read_text()
        assert "outage begins" in log
        assert "outage ends" in log
    finally:
        bench.close()


def test_the_cluster_is_killed_and_comes_back(
    kafka_broker: Any, dynamodb_local: Any, local_site: Any, tmp_path: Path
) -> None:
    """The broker is killed under load and comes back: members live through it and go on, nothing missing or twice."""
    bench = GroupBench(kafka_broker.bootstrap, dynamodb_local.endpoint, local_site, tmp_path)
    try:
        for name in ("one", "two"):
            bench.member(name)
        bench.feed(80)
        bench.shared(2)
        bench.advance()
        kafka_broker.kill()
        time.sleep(3)  # the outage itself
        kafka_broker.restart()
        bench.advance()
        bench.end_feed()
        bench.drained()
        bench.check_picks()
        assert bench.dead_letters() == []
        assert all(program.pid is not None for program in bench.members.values()), "a member gave up"
    finally:
        bench.close()
