"""Workers that die, freeze, join and leave under load."""

from __future__ import annotations

import time

import httpx
import pytest

from feed.local import Program
from feed.testing import until
from tests.faults.producers.campaign import answers
from tests.integration.producers.producer_bench import Bench, Writer

pytestmark = [pytest.mark.integration, pytest.mark.faults]


def test_a_worker_killed_under_load_repeats_and_loses_nothing(bench: Bench) -> None:
    """Kill -9 three times at moments of no one's choosing, shards rolling: the verdict holds."""
    writer = Writer(bench.table)
    with writer:
        for name in ("a", "b", "c"):
            worker = bench.worker(name)
            ready(worker)
            time.sleep(1.0)
            bench.table.shards.roll()
            time.sleep(0.7)
            worker.kill()
        bench.worker("d")
        time.sleep(2.0)
    bench.judge(writer.ledger, within_s=90)


def test_two_workers_share_the_slots_and_one_takes_over_from_the_other(bench: Bench) -> None:
    """Two workers; one is killed and its slots move, another joins, all while shards split and roll."""
    writer = Writer(bench.table)
    with writer:
        first, second = bench.worker("a"), bench.worker("b")
        ready(first, second)
        bench.table.shards.split(2)
        time.sleep(2.0)
        first.kill()
        bench.table.shards.roll()
        time.sleep(8.0)
        ready(bench.worker("c"))
        bench.table.shards.roll()
        time.sleep(4.0)
        second.stop()
        bench.table.shards.roll()
        time.sleep(3.0)
    bench.judge(writer.ledger, within_s=90)


def test_a_frozen_worker_that_wakes_up_is_fenced(bench: Bench) -> None:
    """SIGSTOP for longer than the session: another owns its slots, and what the sleeper had open is never seen."""
    writer = Writer(bench.table)
    with writer:
        frozen = bench.worker("a")
        ready(frozen)
        ready(frozen, bench.worker("b"))
        time.sleep(1.0)
        frozen.pause()
        time.sleep(12.0)
        bench.table.shards.roll()
        frozen.resume()
        until(lambda: is_healthy(frozen), "the health of a worker that woke up")
        assert frozen.pid is not None
    bench.judge(writer.ledger, within_s=90)


def ready(*workers: Program) -> None:
    """Wait until they serve their slots."""
    until(lambda: all(answers(worker) for worker in workers), "the workers to be ready")


def is_healthy(worker: Program) -> bool:
    """Whether its health is green; one that answers late is asked again."""
    try:
        return httpx.get(worker.addresses["telemetry"] + "/healthz", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False
