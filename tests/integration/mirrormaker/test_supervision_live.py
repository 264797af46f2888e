"""A task that fails does not stay failed: the rendered script ends the process, what supervises it starts it again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from connectors.kafka import KafkaClients, KafkaSettings
from feed.cli.mirror import app
from feed.local import Mirror
from feed.local.jars import kafka_jars, metrics_agent
from feed.local.tools import require_java
from feed.testing import until
from mirrormaker import Form, render
from mirrormaker.render import names_of
from mirrormaker.status import ProcessMetrics, measure_pace, rates, read_metrics
from tests.integration.mirrormaker.mirror_bench import MirrorBench, feed_yaml

pytestmark = pytest.mark.integration


class Supervised:
    """A local mirror run by the rendered files, whose largest request can be mended."""

    def __init__(self, bench: MirrorBench, feed: str) -> None:
        self.flow = bench.flow(feed)
        self.is_mended = False
        site = replace(bench.site, state_dir=bench.site.state_dir / feed, log_dir=bench.site.log_dir / feed)
        self.part = Mirror(
            "us",
            site,
            java=require_java(install=True),
            jars=kafka_jars(site.settings),
            agent=metrics_agent(site.settings),
            files=self._files,
        )

    def _files(self) -> dict[str, str]:
        files = dict(render(Form.DEDICATED, self.flow).files)
        if not self.is_mended:
            lines = files["eu-us-mm2.properties"].splitlines()
            files["eu-us-mm2.properties"] = "\n".join(line for line in lines if "max.request.size" not in line)
        return files

    def metrics(self) -> ProcessMetrics:
        return read_metrics(httpx.get(self.part.addresses["metrics"], timeout=10).text)

    def log(self) -> bytes:
        return self.part.log_path.read_bytes()


@pytest.fixture
def supervised(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervised]:
    monkeypatch.setenv("LOOK_EVERY_S", "1")
    monkeypatch.setenv("STOP_WITHIN_S", "5")
    feed = unique_name("orders")
    mirror_bench.create(feed)
    mirror = Supervised(mirror_bench, feed)
    yield mirror
    mirror.part.finish()


def test_a_failed_task_ends_the_process_and_the_next_one_goes_on(
    supervised: Supervised, mirror_bench: MirrorBench, tmp_path: Path
) -> None:
    """Metrics tell what it does; a failed task ends the process, it is started anew, and nothing is repeated."""
    feed = supervised.flow.feeds[0]
    mirror_bench.produce(feed, [b"small %d" % number for number in range(200)])
    supervised.part.start()
    supervised.part.wait_ready()
    assert len(mirror_bench.copies(feed, 200)) == 200
    until(lambda: supervised.metrics().records == 200, "200 records copied")
    before = supervised.metrics()
    assert {task.state for task in before.tasks} == {"RUNNING"}
    assert before.bytes > 200 * 8

    file = feed_yaml(mirror_bench, feed, tmp_path, metrics_url=supervised.part.addresses["metrics"])
    shown = CliRunner().invoke(app, ["status", "-c", str(file), "--sample-s", "0.5", "--json"])
    assert shown.exit_code == 0, shown.output
    (told,) = json.loads(shown.stdout)
    assert (told["metrics"]["records"], told["faults"], told["pace"]["records"]) == (200, [], 0)

    target = KafkaClients(KafkaSettings(bootstrap_servers=mirror_bench.bootstrap("us")), client_id="pace")
    names = names_of(Form.DEDICATED, supervised.flow)

    def produce_and_wait(seconds: float) -> None:
        mirror_bench.produce(feed, [b"more %d" % number for number in range(100)])
        until(lambda: supervised.metrics().written == 300, "300 records written")
        time.sleep(seconds)  # what is measured: a stretch of time

    pace = measure_pace(
        supervised.flow,
        names,
        target=target,
        seconds=0.5,
        sleep=produce_and_wait,
        now_ms=lambda: time.time_ns() // 10**6,
    )
    assert (pace.records, pace.aborted) == (100, 0)
    assert 1 <= pace.transactions <= 20
    after = supervised.metrics()
    assert rates(before, after, 1.0).records_per_s == 100

    first = supervised.part.pid
    mirror_bench.produce(feed, [os.urandom(1_500_000)])
    until(lambda: b"a task has failed" in supervised.log(), "word of the failed task")
    supervised.is_mended = True
    until(lambda: supervised.part.pid not in (None, first), "another process")
    mirror_bench.produce(feed, [b"last %d" % number for number in range(40)])
    copies = mirror_bench.copies(feed, 341, within_s=90)
    assert len(copies) == len(set(copies)) == 341
    assert max(map(len, copies)) == 1_500_000
