"""Kafka away for two minutes while the table is written to (a program, not a test).

    python -m tests.faults.producers.outage --seconds 120 --rate 400 [--how frozen]

One worker. Its memory and its calls of GetRecords are sampled every second: reading stops while nothing can be
published, memory stays where it was, and after Kafka's return everything is published, once and in order.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from feed.local import Broker, DynamoDbLocal, LocalSettings, Program, Site
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.tools import require_java
from feed.testing import unique_name, until
from feed.testing.tables import new_table
from feed.verify import Verdict
from tests.faults.producers.campaign import answers, own_site
from tests.faults.producers.progress import ProgressReader, SteadyWriter, verdict_of
from tests.integration.producers.producer_bench import Bench

SETTLE_S = 5.0
"""After the loss of Kafka: commits under way may still wait for their time-out, and answers be on their way."""


@dataclass
class Outage:
    """What was seen of the worker."""

    before_mib: float = 0.0
    most_mib: float = 0.0
    """While Kafka was away."""
    after_mib: float = 0.0
    """Once all was published."""
    reads: int = 0
    """Calls of GetRecords while Kafka was away, the first seconds left out."""
    behind: int = 0
    """Writes that waited when Kafka came back."""
    recovered_s: float = 0.0
    """From Kafka's return until all that had waited was readable."""
    verdict: Verdict = field(default_factory=Verdict)

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"resident: {self.before_mib:.0f} MiB before, {self.most_mib:.0f} at most, {self.after_mib:.0f} after"
        yield f"{self.reads} calls of GetRecords while away"
        yield f"{self.behind} changes had waited, all readable {self.recovered_s:.1f} s after Kafka's return"
        yield self.verdict.line()
        yield from self.verdict.examples()


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 (a file of the kernel's)
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def reads(worker: Program) -> int:
    """Answers of GetRecords so far, errors among them."""
    text = httpx.get(worker.addresses["telemetry"] + "/metrics", timeout=5.0).text
    lines = [line for line in text.splitlines() if line.startswith("feed_producer_reads_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def run(bench: Bench, broker: Any, *, seconds: float, rate: float, how: str, say: Callable[[str], None]) -> Outage:
    """Take Kafka away and give it back; judged."""
    result = Outage()
    writer = SteadyWriter(bench.table, orders=200, rate_per_s=rate, threads=4)
    worker = bench.worker("one", session_timeout_ms=6_000)
    until(lambda: answers(worker), "the worker to be ready")
    pid = worker.pid
    assert pid is not None
    with ProgressReader(bench) as reader:
        with writer:
            time.sleep(SETTLE_S)
            result.before_mib = resident_mib(pid)
            broker.pause() if how == "frozen" else broker.kill()
            begun, counted = time.monotonic(), -1
            while (passed := time.monotonic() - begun) < seconds:
                result.most_mib = max(result.most_mib, resident_mib(pid))
                if counted < 0 and passed > SETTLE_S:
                    counted = reads(worker)
                time.sleep(1.0)
            result.reads = reads(worker) - counted
            waited = writer.written()
            result.behind = sum(waited.values()) - sum(reader.seen.revisions.values())
            say(f"away for {seconds:.0f} s ({how}), {result.behind} changes wait")
            broker.resume() if how == "frozen" else broker.restart()
            back = time.monotonic()
            until(lambda: reader.reached(waited), "what had waited", within_s=120)
            result.recovered_s = time.monotonic() - back
        until(lambda: reader.reached(writer.written()), "the last of what was written")
        assert worker.pid == pid, "the worker ended"
        result.after_mib = resident_mib(pid)
    result.verdict = verdict_of(bench, writer.entries)
    return result


@contextmanager
def parts(site: Site) -> Iterator[tuple[Bench, Broker]]:
    """A bench with a broker and a DynamoDB Local in memory, which takes 400 writes a second."""
    with ExitStack() as stack:
        java = require_java(install=False)
        broker = Broker("solo", site, java=java, jars=kafka_jars(site.settings))
        store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=False)
        for part in (broker, store):
            stack.callback(part.finish)
            part.start()
        for part in (broker, store):
            part.wait_ready()
        table = new_table(store.endpoint)
        bench = Bench(unique_name("orders"), broker.bootstrap, table, store.endpoint, site, site.state_dir)
        stack.callback(bench.close)
        yield bench, broker


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=400.0, help="writes a second")
    parser.add_argument("--how", choices=("killed", "frozen"), default="killed")
    told = parser.parse_args()
    with own_site(LocalSettings()) as site, parts(site) as (bench, broker):
        result = run(bench, broker, seconds=told.seconds, rate=told.rate, how=told.how, say=partial(print, flush=True))
    print(*result.lines(), sep="\n")
    sys.exit(0 if result.verdict.holds else 1)


if __name__ == "__main__":
    main()
