"""Whatever ends the owner, nothing of what it started is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import docker
import pytest

from feed.testing import unique_name, until

pytestmark = pytest.mark.integration

GONE_WITHIN_S = 15.0

STACK = """
import json, sys, time
from pathlib import Path
from feed.local import LocalSettings, Stack, StackPlan
settings = LocalSettings(log_dir=Path(sys.argv[1]))
with Stack(StackPlan(regions=("eu", "us")), settings=settings) as stack:
    stack.start()
    print(json.dumps({**stack.description(), "state_dir": str(stack.site.state_dir)}), flush=True)
    time.sleep(600)
"""

CONTAINERS = """
import sys, time
from pathlib import Path
from feed.local import LocalSettings
from feed.local.container_regions import ContainerRegions
from testcontainers.core.labels import SESSION_ID
settings = LocalSettings(log_dir=Path(sys.argv[1]))
with ContainerRegions(("eu", "us"), feeds=("orders",), image=sys.argv[2] or None, settings=settings) as regions:
    regions.start()
    print(SESSION_ID, flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie that nobody has collected yet."""
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(asked.stdout.strip()) and not asked.stdout.strip().startswith("Z")


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT], ids=["kill-9", "ctrl-c"])
def test_the_whole_stack_goes_with_its_owner(tmp_path: Path, ended_by: signal.Signals) -> None:
    """Brokers, mirror, link, database, S3 and mail end with their owner, and its temporary folder is deleted."""
    owner = subprocess.Popen([sys.executable, "-c", STACK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    try:
        told = json.loads(owner.stdout.readline())
        pids = [part["pid"] for part in told["parts"].values()]
        assert len(pids) == 7
        assert all(is_running(pid) for pid in pids)
        os.kill(owner.pid, ended_by)
        owner.wait(GONE_WITHIN_S)
        until(lambda: not any(is_running(pid) for pid in pids), "no process left", within_s=GONE_WITHIN_S)
        until(lambda: not Path(told["state_dir"]).exists(), "no folder left", within_s=GONE_WITHIN_S)
        assert (tmp_path / "kafka-eu.log").stat().st_size > 0, "the logs are kept"
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_ctrl_c_while_starting_is_not_waited_for(tmp_path: Path) -> None:
    """Interrupted in the middle of its start, a stack is gone at once and not when all has come up."""
    owner = subprocess.Popen([sys.executable, "-c", STACK, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(list(tmp_path.glob("kafka-*.log"))) == 2, "two logs", within_s=GONE_WITHIN_S)
        os.kill(owner.pid, signal.SIGINT)
        _, said = owner.communicate(timeout=GONE_WITHIN_S)
        assert "KeyboardInterrupt" in said
        assert not any(b"MirrorMaker started" in log.read_bytes() for log in tmp_path.glob("mirror-*.log"))
    finally:
        owner.kill()
        owner.wait()


@pytest.mark.containers_only
def test_containers_go_with_their_owner(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Containers and networks end with their owner's SIGKILL, without Ryuk."""
    image = request.config.getoption("--kafka-image") or ""
    owner = subprocess.Popen(
        [sys.executable, "-c", CONTAINERS, str(tmp_path), image], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    client = docker.from_env()
    try:
        session = owner.stdout.readline().strip()
        ours = {"label": f"org.testcontainers.session-id={session}"}
        assert len(client.containers.list(filters=ours)) == 3
        owner.kill()
        owner.wait()
        left = partial(client.containers.list, all=True, filters=ours, ignore_removed=True)
        until(lambda: left() == [], "no container left", within_s=30)
        until(lambda: client.networks.list(filters=ours) == [], "no network left", within_s=GONE_WITHIN_S)
        assert b"Kafka Server started" in (tmp_path / "kafka-us.log").read_bytes(), "the logs are kept"
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        client.close()


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """With a data folder the state stays there and is found again: the same records, at the same address."""
    data = tmp_path / unique_name("data")
    script = f"""
from pathlib import Path
from feed.local import LocalSettings, Stack, StackPlan
from feed.testing import create_topics
from confluent_kafka import Producer, Consumer, TopicPartition
plan = StackPlan(regions=("eu",), dynamodb=False, object_store=False, ministack=False)
first = not Path({str(data)!r}).exists()
with Stack(plan, settings=LocalSettings(log_dir=Path({str(tmp_path)!r})), data_dir=Path({str(data)!r})) as stack:
    stack.start()
    if first:
        create_topics(stack.bootstrap("eu"), {{"orders": 1}})
        producer = Producer({{"bootstrap.servers": stack.bootstrap("eu")}})
        producer.produce("orders", b"kept")
        assert producer.flush(10) == 0
    consumer = Consumer({{"bootstrap.servers": stack.bootstrap("eu"), "group.id": "x"}})
    consumer.assign([TopicPartition("orders", 0, 0)])
    print(consumer.poll(10).value().decode(), stack.bootstrap("eu"))
    consumer.close()
"""
    first, second = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True).stdout
        for _ in range(2)
    )
    assert first.startswith("kept 127.0.0.1:")
    assert second == first
