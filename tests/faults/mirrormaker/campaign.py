"""Three regions, a workload, and everything that may happen to their copies: a program, and short a test.

    python -m tests.faults.mirrormaker.campaign --minutes 15

eu is written straight, in transactions as the producer does; a process in each region reads and notes when each record
became readable. MirrorMaker of each flow is killed -9 six times, each flow is cut for a minute, and a copy stays down
for longer than the target's topic keeps its records. Round trips are the local stack's: 75 ms to us, 260 ms to ap.

``feed mirror audit`` runs beside it. It ends with 0 when the regions hold the same records, partition by partition in
the same order, none twice, and the audit found nothing but stalls.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from feed.demo.cpu import cpu_seconds
from feed.local import Stack, StackPlan
from feed.testing import create_topics
from mirrormaker.audit import audit_topic
from tests.faults.mirrormaker.campaign_report import AuditRun, Report
from tests.faults.mirrormaker.delays import Delays, Window

TOPIC, PARTITIONS = "orders", 8
COPIES = ("us", "ap")
DRAIN_WITHIN_S = 120.0
EMPTIED_WITHIN_S = 30.0
FIRST_COPY_WITHIN_S = 90.0
BROKERS = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}


@dataclass(frozen=True)
class Fault:
    """``kill``: -9, and started again at once. ``cut``: the way is dead. ``lapse``: down while retention runs out."""

    what: str
    region: str
    at_s: float
    lasts_s: float = 0.0


LONG = (
    *(Fault("kill", region, first + 60 * turn) for region, first in (("us", 40), ("ap", 70)) for turn in range(6)),
    Fault("cut", "us", 430, 60),
    Fault("cut", "ap", 540, 60),
    Fault("lapse", "us", 650, 75),
)
SHORT = (Fault("lapse", "us", 4, 10), Fault("cut", "ap", 4, 5), Fault("kill", "ap", 11))
SHORT_S = 20.0


class Campaign:
    """One run."""

    def __init__(self, stack: Stack, folder: Path, rate: int, *, audited: bool) -> None:
        self._stack, self._folder, self._rate, self._audited = stack, folder, rate, audited
        self._pool = ThreadPoolExecutor(8)
        self._windows: list[Window] = []
        self._emptied = True
        self._processes: list[subprocess.Popen[str]] = []

    def run(self, plan: Sequence[Fault], seconds: float) -> Report:
        """Write, do what the plan says, stop, and wait until every region has everything."""
        try:
            return self._run(plan, seconds)
        finally:
            self._pool.shutdown(cancel_futures=True)
            for process in self._processes:
                process.kill()
                process.wait()

    def _run(self, plan: Sequence[Fault], seconds: float) -> Report:
        readers = {region: self._reader(region) for region in self._stack.regions}
        writer = self._process("eu_writer", {"bootstrap": self._stack.bootstrap("eu"), "rate": self._rate})
        self._wait_for_copies()
        began, loads = time.time(), list[float]()
        audit = self._audit() if self._audited else None
        cpu_before = cpu_seconds(audit.pid) if audit else None
        done = [self._pool.submit(self._one, fault, began) for fault in plan]
        while time.time() < began + seconds:
            loads.append(float(Path("/proc/loadavg").read_text().split()[0]))
            time.sleep(min(5.0, max(0.1, began + seconds - time.time())))
        for one in done:
            one.result()
        produced = json.loads(_ask(writer, "", 60))
        with ThreadPoolExecutor(len(readers)) as pool:
            asked = {
                region: pool.submit(_ask, process, f"{produced['total']}\n", DRAIN_WITHIN_S + 60)
                for region, process in readers.items()
            }
            read = {region: json.loads(answer.result()) for region, answer in asked.items()}
        audit_run = _end_of(audit, cpu_before or 0.0, time.time() - began) if audit else None
        delays = {region: Delays.read(self._folder / f"{region}.times") for region in readers}
        windows = sorted(self._windows, key=lambda window: window.begins)
        return Report(produced, read, windows, delays, loads, began, self._emptied, audit_run)

    def _audit(self) -> subprocess.Popen[str]:
        file = self._folder / "feed.yaml"
        file.write_text(json.dumps(_feed_yaml(self._stack)))  # JSON is YAML
        options = ["-c", str(file), "--state-dir", str(self._folder / "audit"), "--json"]
        command = [sys.executable, "-m", "feed", "mirror", "audit", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def _process(self, module: str, given: dict[str, Any]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"tests.faults.mirrormaker.{module}", json.dumps({"topic": TOPIC, **given})]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def _reader(self, region: str) -> subprocess.Popen[str]:
        given = {
            "bootstrap": self._stack.bootstrap(region),
            "partitions": PARTITIONS,
            "times": str(self._folder / f"{region}.times"),
            "drain_within_s": DRAIN_WITHIN_S,
        }
        return self._process("region_reader", given)

    def _one(self, fault: Fault, began: float) -> None:
        time.sleep(max(0.0, began + fault.at_s - time.time()))
        at, mirror, copied = time.time(), f"mirror-{fault.region}", list[tuple[int, int]]()
        match fault.what:
            case "kill":
                self._stack.kill(mirror)
            case "cut":
                self._stack.isolate(fault.region)
            case "lapse":
                self._stack.kill(mirror)
                copied = self._marks(fault.region)
                self._keep_for(fault.region, round(fault.lasts_s * 600))
        time.sleep(fault.lasts_s)
        if fault.what == "cut":
            self._stack.rejoin(fault.region)
        if fault.what == "lapse":
            self._emptied = self._emptied and self._is_emptied(fault.region, copied)
        self._windows.append(Window(fault.what, fault.region, at, time.time()))
        if fault.what != "cut":
            self._stack.restart(mirror, 120)

    def _is_emptied(self, region: str, copied: list[tuple[int, int]]) -> bool:
        """Whether all that was copied is gone, within a bound: a busy broker's cleaner is late."""
        until = time.monotonic() + EMPTIED_WITHIN_S
        while True:
            pairs = zip(self._marks(region), copied, strict=True)
            if all(now[0] >= then[1] > 0 for now, then in pairs):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.5)

    def _keep_for(self, region: str, retention_ms: int) -> None:
        admin = AdminClient({"bootstrap.servers": self._stack.bootstrap(region)})
        entry = ConfigEntry("retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
        for answer in admin.incremental_alter_configs([resource]).values():
            answer.result(20)

    def _marks(self, region: str) -> list[tuple[int, int]]:
        """First offset, and the one after the last, of each partition."""
        asker = Consumer({"bootstrap.servers": self._stack.bootstrap(region), "group.id": "campaign-asker"})
        marks = [asker.get_watermark_offsets(TopicPartition(TOPIC, n), timeout=20) for n in range(PARTITIONS)]
        asker.close()
        return marks

    def _wait_for_copies(self) -> None:
        """Until every partition of every copy has something."""
        until = time.monotonic() + FIRST_COPY_WITHIN_S
        while not all(high for region in COPIES for _, high in self._marks(region)):
            assert time.monotonic() < until, "nothing was copied"
            time.sleep(0.5)


def _ask(process: subprocess.Popen[str], line: str, within_s: float) -> str:
    answer, _ = process.communicate(line, timeout=within_s)
    assert process.returncode == 0, f"{process.args} ended with {process.returncode}"
    return answer


def _end_of(audit: subprocess.Popen[str], cpu_before: float, seconds: float) -> AuditRun:
    """Ask the audit to end, and read what it says."""
    cpu = (cpu_seconds(audit.pid) or 0.0) - cpu_before
    audit.terminate()
    verdicts = json.loads(audit.communicate(timeout=60)[0])
    partitions = [one for verdict in verdicts for one in verdict["partitions"]]
    differences: Counter[str] = Counter()
    for one in partitions:
        differences.update(one["differences"])
    missing = sum(sum(verdict["missing_ordinals"].values()) for verdict in verdicts)
    differences.update({"incomplete": missing} if missing else {})
    return AuditRun(sum(one["matched"] for one in partitions), dict(differences), cpu / seconds)


def _feed_yaml(stack: Stack) -> dict[str, Any]:
    return {
        "feed": TOPIC,
        "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": "order"},
        "regions": {
            region: {"kafka": {"bootstrap_servers": stack.bootstrap(region)}, "aws": {"region": region}}
            for region in stack.regions
        },
        "mirrors": [{"target": region} for region in COPIES],
    }


def campaign(plan: Sequence[Fault], seconds: float, rate: int = 400, *, audited: bool = False) -> Report:
    """Start three regions, run, stop."""
    with TemporaryDirectory() as folder, Stack(_plan()) as stack:
        stack.start(before_mirrors=_topics)
        return Campaign(stack, Path(folder), rate, audited=audited).run(plan, seconds)


def _plan() -> StackPlan:
    return StackPlan(dynamodb=False, object_store=False, ministack=False, broker_properties=BROKERS)


def _topics(stack: Stack) -> None:
    for region in stack.regions:
        settings = {} if region == "eu" else {"message.timestamp.type": "LogAppendTime"}
        topics = {TOPIC: PARTITIONS, f"{TOPIC}.control": 1}
        create_topics(stack.bootstrap(region), topics, settings=settings)
    for region in COPIES:
        create_topics(stack.bootstrap(region), {audit_topic(TOPIC): 1})


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="15: the whole plan; less leaves its end out")
    parser.add_argument("--rate", type=int, default=400, help="records a second")
    parser.add_argument("--no-audit", action="store_true", help="without feed mirror audit beside it")
    given = parser.parse_args()
    seconds = given.minutes * 60
    plan = [fault for fault in LONG if fault.at_s + fault.lasts_s + 30 <= seconds]
    report = campaign(plan, seconds, given.rate, audited=not given.no_audit)
    sys.stdout.write(report.text() + "\n")
    only_stalls = report.audit is None or set(report.audit.differences) <= {"stalled"}
    return 0 if report.identical and report.emptied and only_stalls else 1


if __name__ == "__main__":
    sys.exit(main())
