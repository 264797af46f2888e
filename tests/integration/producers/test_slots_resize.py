"""Another number of slots: between producers, killed in the middle, and with an old worker that wakes up afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from feed.config import FeedConfig, load_config
from feed.local import Program
from feed.operate.resize import check_empty, resize_slots
from feed.testing import until
from producers.stream import find_positions
from schemas.errors import ConfigError
from tests.integration.producers.producer_bench import PARTITIONS, Bench, Writer
from tests.integration.producers.resize_process import ALL_POINTS

pytestmark = pytest.mark.integration

PROCESS = Path(__file__).with_name("resize_process.py")


@pytest.fixture
def file(bench: Bench) -> Path:
    """The bench's feed as a file."""
    config: dict[str, Any] = {
        "feed": bench.feed,
        "table": {"name": bench.table.name, "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "topic": {"partitions": PARTITIONS, "slots": 8},
        "regions": {
            "eu": {
                "kafka": {"bootstrap_servers": bench.bootstrap},
                "aws": {"region": "eu-west-1"},
                "replication_factor": 1,
                "min_insync_replicas": 1,
            }
        },
    }
    made = bench.tmp / f"{bench.feed}.yaml"
    made.write_text(yaml.safe_dump(config))
    return made


def is_empty(bench: Bench) -> bool:
    """Whether the group has no member any more."""
    try:
        check_empty(bench.kafka, bench.feed)
    except ConfigError:
        return False
    return True


def killed(file: Path, slots: int, point: str) -> None:
    """A resize that dies at the point."""
    ended = subprocess.run([sys.executable, str(PROCESS), str(file), str(slots), point], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL, point


def resized(bench: Bench, config: FeedConfig, slots: int) -> None:
    """To the end, and found by whoever starts now."""
    done = resize_slots(config, bench.kafka, slots)
    found = find_positions(bench.kafka, bench.feed)
    assert (found, found.slots) == (done.after, slots)


def test_resized_between_producers_and_killed_at_every_point(bench: Bench, file: Path) -> None:
    """8 → 5 → 16 slots, after tries to 3 that were killed at every step: every change once, in order."""
    config, writer = load_config(file), Writer(bench.table, pause_s=0.01)
    bench.table.shards.split(3)
    *unfinished, copied = ALL_POINTS
    with writer:
        worker = bench.worker("a")
        bench.wait(lambda found: len(found.changes) >= 20)
        with pytest.raises(ConfigError, match="has members: worker at"):
            resize_slots(config, bench.kafka, 3)
        worker.stop()
        for point in unfinished:
            killed(file, 3, point)
            assert find_positions(bench.kafka, bench.feed).slots == 8, f"an unfinished copy counts: {point}"
        assert "FatalError: the positions have moved" in ends(bench.worker("refused"))
        bench.table.shards.roll()
        killed(file, 5, copied)
        resized(bench, config, 5)
        assert resize_slots(config, bench.kafka, 5).records == 0, "there is nothing to do twice"
        worker = bench.worker("b")
        before = len(bench.read().changes)
        bench.wait(lambda found: len(found.changes) >= before + 100)
        worker.stop()
        bench.table.shards.roll()
        resized(bench, config, 16)
        bench.worker("c")
        time.sleep(1.0)
    bench.judge(writer.ledger)


def test_a_frozen_worker_that_wakes_up_after_a_resize_writes_nothing(bench: Bench, file: Path) -> None:
    """It is fenced, finds that the positions have moved, and ends; the new workers are not disturbed."""
    config, writer = load_config(file), Writer(bench.table)
    with writer:
        frozen = bench.worker("frozen", session_timeout_ms=2_000)
        bench.wait(lambda found: len(found.changes) >= 50)
        assert frozen.pid is not None
        os.kill(frozen.pid, signal.SIGSTOP)
        until(lambda: is_empty(bench), "a group without members")
        resized(bench, config, 5)
        bench.worker("new", session_timeout_ms=2_000)
        before = len(bench.read().changes)
        bench.wait(lambda found: len(found.changes) > before)
        os.kill(frozen.pid, signal.SIGCONT)
        assert "FatalError: the positions have moved" in ends(frozen)
        time.sleep(1.0)
    bench.judge(writer.ledger)


def ends(program: Program) -> str:
    """The log of a program that shall end by itself."""
    until(lambda: program.pid is None, f"the end of {program.name}")
    assert program.log_path is not None
    return program.log_path.read_text()
