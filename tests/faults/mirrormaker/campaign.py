"""Three regions, a workload, and everything that may happen to their copies: a program, and short a test.

    python -m tests.faults.mirrormaker.campaign --minutes 15

eu is written straight, in transactions as the producer does; a process in each region reads and notes when each record
became readable. MirrorMaker of each flow is killed -9 six times, each flow is cut for a minute, and a copy stays down
for longer than the target's topic keeps its records. Round trips are the local stack's: 75 ms to us, 260 ms to ap.

It ends with 0 when the regions hold the same records, partition by partition in the same order, and none twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from feed.local import Stack, StackPlan
from feed.testing import create_topics
from tests.faults.mirrormaker.delays import Delays, Window, quantile

TOPIC, PARTITIONS = "orders", 8
COPIES = ("us", "ap")
DRAIN_WITHIN_S = 120.0
FIRST_COPY_WITHIN_S = 90.0
WARM_S = 5.0
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


@dataclass
class Report:
    """What came of it."""

    produced: dict[str, Any]
    read: dict[str, dict[str, Any]]
    windows: list[Window]
    delays: dict[str, Delays]
    loads: list[float]
    began: float
    emptied: bool
    faults: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Every region has what eu committed, partition by partition in order, none twice, and no reader failed."""
        return all(
            one["partitions"] == self.produced["partitions"] and not one["repeated"] and not one["errors"]
            for one in self.read.values()
        )

    def text(self) -> str:
        """For people."""
        lines = [f"{self.produced['total']} records in {PARTITIONS} partitions, {len(self.windows)} faults"]
        lines += [
            f"{region}: {one['total']} read, {one['repeated']} repeated, errors {one['errors']}"
            for region, one in self.read.items()
        ]
        lines.append(f"identical partition by partition: {self.identical}")
        lines.append(f"the target's records had expired before the copy came back: {self.emptied}")
        for window in self.windows:
            after = self.delays[window.region].caught_up_after(window.ends)
            lasted = window.ends - window.begins
            lines.append(f"{window.what} {window.region}: lasted {lasted:.1f} s, caught up {after:.1f} s after it")
        recovered = self._with_recovery()
        for region, delays in self.delays.items():
            calm = delays.outside(recovered, self.began + WARM_S)
            own = [window for window in recovered if window.region in (region, "all")]
            alone = delays.outside(own, self.began + WARM_S)
            shown = "  ".join(f"p{share * 100:g} {quantile(calm, share) * 1000:.0f}" for share in (0.5, 0.9, 0.99, 1))
            lines.append(
                f"{region}: produced to readable, outside every fault: {shown} ms ({len(calm)} records); "
                f"outside its own: p99 {quantile(alone, 0.99) * 1000:.0f} ms"
            )
        loads = f"load of the machine: least {min(self.loads)}, median {median(self.loads)}, most {max(self.loads)}"
        return "\n".join([*lines, loads])

    def _with_recovery(self) -> list[Window]:
        return [
            Window(one.what, one.region, one.begins, one.ends + self.delays[one.region].caught_up_after(one.ends))
            for one in self.windows
        ]

    @property
    def slowest_recovery_s(self) -> float:
        """The longest time from the end of a fault until its region had caught up."""
        return max(self.delays[one.region].caught_up_after(one.ends) for one in self.windows)


class Campaign:
    """One run."""

    def __init__(self, stack: Stack, folder: Path, rate: int) -> None:
        self._stack, self._folder, self._rate = stack, folder, rate
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
        delays = {region: Delays.read(self._folder / f"{region}.times") for region in readers}
        windows = sorted(self._windows, key=lambda window: window.begins)
        return Report(produced, read, windows, delays, loads, began, self._emptied)

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
            held = self._marks(fault.region)
            self._emptied = self._emptied and all(now[0] >= then[1] > 0 for now, then in zip(held, copied, strict=True))
        self._windows.append(Window(fault.what, fault.region, at, time.time()))
        if fault.what != "cut":
            self._stack.restart(mirror, 120)

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


def campaign(plan: Sequence[Fault], seconds: float, rate: int = 400) -> Report:
    """Start three regions, run, stop."""
    with TemporaryDirectory() as folder, Stack(_plan()) as stack:
        stack.start(before_mirrors=_topics)
        return Campaign(stack, Path(folder), rate).run(plan, seconds)


def _plan() -> StackPlan:
    return StackPlan(dynamodb=False, object_store=False, ministack=False, broker_properties=BROKERS)


def _topics(stack: Stack) -> None:
    for region in stack.regions:
        settings = {} if region == "eu" else {"message.timestamp.type": "LogAppendTime"}
        topics = {TOPIC: PARTITIONS, f"{TOPIC}.control": 1}
        create_topics(stack.bootstrap(region), topics, settings=settings)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="15: the whole plan; less leaves its end out")
    parser.add_argument("--rate", type=int, default=400, help="records a second")
    given = parser.parse_args()
    seconds = given.minutes * 60
    plan = [fault for fault in LONG if fault.at_s + fault.lasts_s + 30 <= seconds]
    report = campaign(plan, seconds, given.rate)
    sys.stdout.write(report.text() + "\n")
    return 0 if report.identical and report.emptied else 1


if __name__ == "__main__":
    sys.exit(main())
