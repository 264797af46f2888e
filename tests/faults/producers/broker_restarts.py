"""Three brokers restarted one after another under load, as a managed cluster is patched (a program, not a test).

    python -m tests.faults.producers.broker_restarts --rounds 3 [--kafka 3.9.1]

Three copies, two of which must be in sync. Each broker is asked to stop (SIGTERM), comes back, and the next one follows
when every partition has its three copies in sync again. Meanwhile two workers publish, shards roll and split. At the
end the judges of ``feed verify`` decide; the longest time without a new readable change is told.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from feed.local import BrokerCluster, DynamoDbLocal, LocalSettings, Site
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.tools import require_java
from feed.testing import unique_name, until
from feed.testing.tables import new_rolling_table
from feed.verify import Verdict
from tests.faults.producers.campaign import Shaker, answers, own_site
from tests.faults.producers.progress import ProgressReader, SteadyWriter, verdict_of
from tests.integration.producers.producer_bench import Bench


@dataclass
class Restarts:
    """What a run saw."""

    stood_still_s: list[float] = field(default_factory=list)
    """At each restart: the longest time without a new readable change."""
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)


def run(bench: Bench, cluster: BrokerCluster, *, rounds: int, rate: float, say: Callable[[str], None]) -> Restarts:
    """Restart every broker so many times; judged."""
    result = Restarts()
    bench.table.shards.split(4)
    writer = SteadyWriter(bench.table, rate_per_s=rate)
    workers = [bench.worker(name) for name in ("one", "two")]
    until(lambda: all(answers(worker) for worker in workers), "the workers to be ready")
    with ProgressReader(bench) as reader:
        with writer, Shaker(bench, random.Random(1), reader.seen):
            until(lambda: reader.seen.changes > 0, "the first change")
            begun = time.monotonic()
            for number in range(rounds * len(cluster.brokers)):
                broker = cluster.brokers[number % len(cluster.brokers)]
                reader.still()
                broker.restart()
                cluster.wait_in_sync()
                wanted = writer.written()
                until(lambda wanted=wanted: reader.reached(wanted), "what was written meanwhile")  # type: ignore[misc]  # a default argument binds it
                result.stood_still_s.append(reader.still())
                say(f"{broker.name} restarted, the topic stood still for {result.stood_still_s[-1]:.1f} s at most")
            result.seconds = time.monotonic() - begun
        until(lambda: reader.reached(writer.written()), "the last of what was written")
    assert all(worker.pid is not None for worker in workers), "a worker ended"
    result.verdict = verdict_of(bench, writer.entries)
    return result


@contextmanager
def parts(site: Site, folder: Path) -> Iterator[tuple[Bench, BrokerCluster]]:
    """A bench on three brokers and a DynamoDB Local of its own."""
    with ExitStack() as stack:
        java = require_java(install=False)
        cluster = BrokerCluster("eu", site, java=java, jars=kafka_jars(site.settings))
        store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=True, name="store-of-eu")
        stack.callback(cluster.finish)
        stack.callback(store.finish)
        store.start()
        cluster.start()
        store.wait_ready()
        table, feed = new_rolling_table(store), unique_name("orders")
        bench = Bench(feed, cluster.bootstrap, table, store.endpoint, site, folder, copies=3)
        stack.callback(bench.close)
        yield bench, cluster


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0, help="writes a second")
    parser.add_argument("--kafka", default=LocalSettings().kafka_version, help="version of the brokers")
    told = parser.parse_args()
    with own_site(LocalSettings(kafka_version=told.kafka)) as site, parts(site, site.state_dir) as (bench, cluster):
        result = run(bench, cluster, rounds=told.rounds, rate=told.rate, say=partial(print, flush=True))
    print(f"Kafka {told.kafka}, {len(result.stood_still_s)} restarts in {result.seconds:.0f} s")
    print(f"stood still {max(result.stood_still_s):.1f} s at most")
    print(result.verdict.line(), *result.verdict.examples(), sep="\n")
    sys.exit(0 if result.verdict.holds else 1)


if __name__ == "__main__":
    main()
