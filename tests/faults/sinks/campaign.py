"""kill -9 of the three batch sinks at every named point, while S3 fails, at 400 changes a second; each kill counted.

    python -m tests.faults.sinks.campaign --each 5 --minutes 6

Audit, archive and analytics read one topic of a real broker, each in a process that is told at which passing of which
point it dies; the next one goes on where it left off. All their requests to S3 go through a proxy that fails a tenth of
them: 503, 500 after it took effect, a connection that ends without the answer (after which the client tries again), and
answers half a second late. At the end all is drained and compared: the archive and the audit log hold the topic record
for record, every ordinal once; the audit log verifies, digests and all; the history has every change once, and the
current tables are the last word on every order.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import ObjectStore as Store
from connectors.signing import FileSigner, create_key_file
from consumers.audit import Wanted, verify_log
from feed.local import Broker, Guardian, LocalSettings, ObjectStore, Site
from feed.local.data_api import DataApi
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from tests.faults.consumers.effects import Effects
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import OrdersTopic
from tests.faults.consumers.stored_effects import Archive, AuditLog, Reports
from tests.faults.sinks.dying_warehouse import LOAD_POINTS
from tests.faults.sinks.faulty_proxy import faulty_proxy
from tests.faults.sinks.paced_orders import PacedOrders

PROJECT = Path(__file__).parents[3]
STORE_POINTS = ("before-upload", "after-upload", "before-commit", "after-commit")
POINTS: dict[str, tuple[str, ...]] = {
    "audit": STORE_POINTS,
    "archive": STORE_POINTS,
    "analytics": (*STORE_POINTS, *LOAD_POINTS),
}
MOST_PASSINGS = {"upload": 9, "commit": 6, "load": 2}
"""A member dies at one of the first so many passings of a point, by what the point is about."""

LIFE_BOUND_S = 90.0
"""Every member must have met its point by then: a sink that makes no progress is found by this."""

FAULT_SHARE = 0.1


class SinkBench(GroupBench):
    """One sink: members one after the other, each dying at a point."""

    proxy: str = ""
    key: Path = Path()

    def life(self, point: str, after: int) -> bool:
        """Run a member until it dies; True when it died of the kill at this point."""
        witness = self.witness(point)
        witness.unlink(missing_ok=True)
        with self.running(point, after) as member:
            member.wait(LIFE_BOUND_S)
            return member.returncode == -signal.SIGKILL and witness.exists() and witness.read_text() == point

    @contextmanager
    def running(self, point: str, after: int) -> Iterator[subprocess.Popen[bytes]]:
        """A member while it lives; stopped in order at the end, if it still does."""
        told: dict[str, Any] = {
            "sink": self.effects.sink,
            "bootstrap": self.topic.bootstrap,
            "topic": self.topic.name,
            "group": self.name,
            "point": point,
            "after": after,
            "witness": str(self.witness(point)),
            "key": str(self.key),
            # the next member has the name of the one that died: it need not wait until the group gives that up
            "settings": {"session_timeout_ms": 6_000, "commit_interval_ms": 500, "static_member_id": self.effects.sink},
            **self.effects.told(),
        }
        told["aws"] = {**told["aws"], "endpoints": {**told["aws"]["endpoints"], "s3": self.proxy}}
        log = self.folder / f"{self.effects.sink}.log"
        with log.open("ab") as out:
            program = [sys.executable, "-m", "tests.faults.sinks.campaign_member", json.dumps(told)]
            member = subprocess.Popen(program, cwd=PROJECT, stdout=out, stderr=out)
        try:
            yield member
        finally:
            if member.poll() is None:
                member.terminate()
                try:
                    member.wait(LIFE_BOUND_S)
                finally:
                    member.kill()
                    member.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=5, help="kills at each point of each sink, at least")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on for at least so long")
    parser.add_argument("--rate", type=float, default=400.0, help="changes a second")
    parser.add_argument("--sinks", nargs="+", choices=list(POINTS), default=list(POINTS))
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    random.seed(told.seed)
    with TemporaryDirectory() as folder, running_parts(Path(folder)) as (broker, s3, data_api):
        campaign = Campaign(broker, s3, data_api, Path(folder), told.sinks)
        with campaign:
            campaign.run(each=told.each, minutes=told.minutes, rate=told.rate)
        print(campaign.table())


@contextmanager
def running_parts(folder: Path) -> Iterator[tuple[Broker, ObjectStore, DataApi]]:
    """A broker, S3 and the Data API as processes; gone at the end."""
    guardian = Guardian()
    site = Site(folder / "state", folder / "logs", guardian, LocalSettings(), disposable=True)
    site.state_dir.mkdir()
    broker = Broker("solo", site, java=require_java(install=False), jars=kafka_jars(site.settings))
    s3 = ObjectStore(site)
    keys = {"access_key_id": s3.access_key_id, "secret_access_key": s3.secret_access_key}
    data_api = DataApi(site, s3_endpoint=s3.endpoint, **keys)
    with ExitStack() as stack:
        stack.callback(guardian.close)
        for part in (broker, s3, data_api):
            stack.callback(part.finish)
            part.start()
        for part in (broker, s3, data_api):
            part.wait_ready()
        yield broker, s3, data_api


class Campaign:
    """All of it, on parts that run. A context manager."""

    def __init__(
        self, bootstrap: str | Broker, s3: ObjectStore, data_api: DataApi | None, folder: Path, sinks: Sequence[str]
    ) -> None:
        self._s3 = s3
        self._data_api = data_api
        self._folder = folder
        self._sinks = sinks
        self.topic = OrdersTopic(bootstrap if isinstance(bootstrap, str) else bootstrap.bootstrap)
        self.struck: dict[str, Counter[str]] = {sink: Counter() for sink in sinks}
        self.faults: Counter[str] = Counter()
        self.key = folder / "signing-key.pem"
        create_key_file(self.key)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        proxied = faulty_proxy(self._s3.endpoint, share=FAULT_SHARE, seed=7)
        self._proxy, self.faults = self._stack.enter_context(proxied)
        self.benches: dict[str, SinkBench] = {}
        for sink in self._sinks:
            bench = SinkBench(self.topic, self._effects(sink), site=None, folder=self._folder)  # type: ignore[arg-type]  # members are plain processes here
            bench.proxy, bench.key = self._proxy, self.key
            self._stack.callback(bench.close)
            self.benches[sink] = bench
        self._stack.callback(self.topic.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, *, each: int, minutes: float, rate: float, points: dict[str, tuple[str, ...]] | None = None) -> None:
        """Kill at every point, drain, judge."""
        began = time.monotonic()
        with PacedOrders(self.topic, rate), ThreadPoolExecutor(len(self._sinks)) as threads:
            until = began + minutes * 60
            for done in [threads.submit(self._kill, s, (points or POINTS)[s], each, until) for s in self._sinks]:
                done.result()
        took_s = time.monotonic() - began
        self.topic.end_feed()
        print(f"{self.topic.changes} changes in {took_s:.0f} s: {self.topic.changes / took_s:.0f}/s", flush=True)
        print(f"S3: {self.faults.total()} requests, of them {dict(self.faults)}", flush=True)
        self.judge()

    def judge(self) -> None:
        """Drain and compare."""
        with ExitStack() as members:
            for bench in self.benches.values():
                members.enter_context(bench.running("", 0))
            for bench in self.benches.values():
                bench.drained()
        for sink, bench in self.benches.items():
            assert bench.dead_letters() == [], sink
            print(f"{sink:10} {bench.effects.check_all(self.topic)}", flush=True)
        if "audit" in self.benches:
            print(f"audit      {self._verified(self.benches['audit'])}", flush=True)

    def table(self) -> str:
        """How often a kill struck at each point, in Markdown."""
        points = list(dict.fromkeys(point for sink in self._sinks for point in POINTS[sink]))
        lines = [f"| kill -9 | {' | '.join(points)} | in all |", f"| --- |{' ---: |' * (len(points) + 1)}"]
        for sink, struck in self.struck.items():
            counts = [str(struck[point]) if point in POINTS[sink] else "" for point in points]
            lines.append(f"| {sink} | {' | '.join(counts)} | {struck.total()} |")
        return "\n".join(lines)

    def _kill(self, sink: str, points: tuple[str, ...], each: int, until: float) -> None:
        bench, struck = self.benches[sink], self.struck[sink]
        while min(struck[point] for point in points) < each or time.monotonic() < until:
            point = min(points, key=lambda point: (struck[point], random.random()))
            most = MOST_PASSINGS[point.rpartition("-")[2]]
            assert bench.life(point, random.randint(1, most)), self._log(sink)
            struck[point] += 1
            print(f"{sink:10} {point:14} {struck[point]:3}", flush=True)

    def _effects(self, sink: str) -> Effects:
        match sink:
            case "audit":
                return AuditLog(self._s3)
            case "archive":
                return Archive(self._s3)
        assert self._data_api is not None
        return Reports(self._s3, self._data_api.endpoint)

    def _verified(self, bench: SinkBench) -> str:
        told = bench.effects.told()
        store = Store(AwsClients(AwsSettings.model_validate(told["aws"])).client("s3"), told["bucket"])
        wanted = Wanted(self.topic.name, datetime.now(UTC), FileSigner(self.key).public_key())
        report = verify_log(store, "audit", wanted)
        assert report.findings == [], report.findings
        records = sum(chain.records for chain in report.chains)
        return f"{records} records and {report.digests} signed digests verify"

    def _log(self, sink: str) -> str:
        return (self._folder / f"{sink}.log").read_text(encoding="utf-8", errors="replace")[-3_000:]


if __name__ == "__main__":
    main()
