"""Workers of a real feed killed and frozen at each named point of their life."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.producers.producer_bench import Bench, Writer

pytestmark = [pytest.mark.integration, pytest.mark.faults]

HITS = [
    ("before init", 1),
    ("after init", 2),
    ("reading back", 1),
    ("between produce and commit", 5),
    ("after commit", 6),
    ("discovering", 2),
]
SESSION_MS = 2_000


def state_of(pid: int) -> str:
    """The state letter of a process: T when it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("blow", ["SIGKILL", "SIGSTOP"])
def test_a_worker_hit_at_every_named_point(bench: Bench, blow: str) -> None:
    """One after the other is hit at each point while another lives, shards roll meanwhile: the verdict holds."""
    writer, frozen = Writer(bench.table), []
    for _ in range(3):
        bench.table.shards.split(2)  # eight shards, so that most slots have something to do
    with writer:
        bench.worker("steady", session_timeout_ms=SESSION_MS)
        for number, (point, times) in enumerate(HITS):
            hit = {"point": point, "number": times, "blow": blow}
            worker = bench.worker(f"hit-{number}", hit=hit, session_timeout_ms=SESSION_MS)
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                pid = worker.pid
                if pid is None or state_of(pid) in "TZ":
                    break
                time.sleep(0.1)
            else:
                pytest.fail(f"the worker never came to {point!r}")
            bench.table.shards.roll()
            if blow == "SIGSTOP":
                frozen.append(worker)
        time.sleep(SESSION_MS / 1_000 + 1)
        for worker in frozen:
            worker.resume()
        time.sleep(3)
        for worker in frozen:
            worker.stop()
        bench.table.shards.roll()
        time.sleep(2)
    bench.judge(writer.ledger, within_s=90)
