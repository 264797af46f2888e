"""``feed mirror status`` on a real MirrorMaker: at work, behind, and failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from connectors.kafka import KafkaClients, KafkaSettings
from mirrormaker import render_dedicated
from mirrormaker.render.names import dedicated_names
from mirrormaker.status import FlowStatus, flow_status
from mirrormaker.topology import Flow
from tests.integration.mirrormaker.mirror_bench import MirrorBench

pytestmark = pytest.mark.integration


def status_of(bench: MirrorBench, flow: Flow) -> FlowStatus:
    clients = {
        region: KafkaClients(KafkaSettings(bootstrap_servers=bench.bootstrap(region)), client_id="status")
        for region in ("eu", "us")
    }
    names = dedicated_names(flow)
    return flow_status(
        flow, names, source=clients["eu"], target=clients["us"], now_ms=lambda: time.time_ns() // 1_000_000
    )


def until(ask: Callable[[], FlowStatus], condition: Callable[[FlowStatus], bool], within_s: float = 40.0) -> FlowStatus:
    deadline = time.monotonic() + within_s
    while True:
        status = ask()
        if condition(status) or time.monotonic() > deadline:
            return status
        time.sleep(0.3)


def test_a_flow_at_work_behind_and_failed(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """Nothing waits while it works; a stopped flow shows what waits; a task that failed says why."""
    feed = unique_name("orders")
    flow = mirror_bench.flow(feed)
    mirror_bench.create(feed)
    mirror_bench.produce(feed, [b"value %d" % number for number in range(100)])
    good = render_dedicated(flow)
    part = mirror_bench.mirror(f"mirror-{feed}", good)
    try:
        mirror_bench.copies(feed, 100)
        done = until(
            lambda: status_of(mirror_bench, flow),
            lambda status: not any(one.waits for one in status.partitions) and len(status.tasks) > 1,
        )
        assert done.faults(stall_after_ms=60_000) == ()
        assert {one.topic for one in done.partitions} == {feed, f"{feed}.control"}
        assert sum(one.lag_at_most for one in done.partitions) == 0
    finally:
        part.finish()

    mirror_bench.produce(feed, [os.urandom(1_500_000)])
    behind = status_of(mirror_bench, flow)
    assert [one.waits for one in behind.partitions].count(True) == 1

    bad = "\n".join(line for line in good.splitlines() if "max.request.size" not in line)
    part = mirror_bench.mirror(f"mirror-{feed}-2", bad)
    try:
        part.wait_for(b"will not recover until manually restarted")
        failed = until(
            lambda: status_of(mirror_bench, flow), lambda status: any(task.state == "FAILED" for task in status.tasks)
        )
    finally:
        part.finish()
    assert any("FAILED" in fault for fault in failed.faults(stall_after_ms=60_000)), failed.tasks
