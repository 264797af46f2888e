"""Kills, freezes and rebalances of a group of three, for minutes, each counted (a program, not a test).

    python -m tests.faults.consumers.campaign --faults 60

Between two faults every partition gets on, and a sample of what is committed is compared with the picks. At the end all
is drained and every order is judged: no change missing, none twice, none out of order, no dead letter.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from feed.local import Broker, DynamoDbLocal, Guardian, LocalSettings, Site
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.tools import require_java
from tests.faults.consumers.group_bench import WITHIN_S, GroupBench
from tests.unit.consumers.consumer_contract import until

NAMES = ("one", "two", "three")
POINTS = ("before-effect", "after-effect", "while-parked", "in-revoke", "settled-not-committed")
KINDS = (*POINTS, "kill", "freeze", "stop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--rate", type=float, default=100.0, help="changes a second")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with TemporaryDirectory() as folder:
        guardian = Guardian()
        site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, LocalSettings(), disposable=True)
        site.state_dir.mkdir()
        java = require_java(install=False)
        broker = Broker("solo", site, java=java, jars=kafka_jars(site.settings))
        store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=False)
        try:
            for part in (broker, store):
                part.start()
                part.wait_ready()
            run(GroupBench(broker.bootstrap, store.endpoint, site, Path(folder)), told.faults, told.rate, told.seed)
        finally:
            store.finish()
            broker.finish()
            guardian.close()


def run(bench: GroupBench, faults: int, rate: float, seed: int) -> None:
    random.seed(seed)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    try:
        for name in NAMES:
            bench.member(name)
        bench.feed(rate)
        bench.shared(len(NAMES))
        for number in range(faults):
            kind = KINDS[number % len(KINDS)]
            at = time.monotonic()
            fault(bench, kind, random.choice(NAMES))
            bench.shared(len(NAMES))
            bench.advance()
            counts[kind] += 1
            print(f"{number + 1:3} {kind:22} {time.monotonic() - at:5.1f} s", flush=True)
        bench.end_feed()
        bench.drained()
        bench.check_picks()
        assert bench.dead_letters() == []
    finally:
        bench.close()
    changes = sum(len(changes) for changes in bench.written.values())
    print(f"{sum(counts.values())} faults in {(time.monotonic() - began) / 60:.1f} min: {dict(counts)}")
    print(
        f"{len(bench.written)} orders, {changes} changes: none missing, none twice, none out of order, no dead letter"
    )


def fault(bench: GroupBench, kind: str, name: str) -> None:
    """Let a member suffer it; afterwards all three run again."""
    program = bench.members[name]
    if kind == "freeze":
        program.pause()
        time.sleep(8)  # past its session
        program.resume()
    elif kind == "stop":
        program.stop()
        bench.member(name)
    elif kind == "kill":
        program.kill()
        bench.member(name)
    else:
        armed(bench, kind, name)


def armed(bench: GroupBench, point: str, name: str) -> None:
    """Start the member anew so that it dies at the point; a revoke comes when another one leaves and returns."""
    bench.members[name].stop()
    witness = bench.witness(name)
    witness.unlink(missing_ok=True)
    bench.member(name, point, after=random.randint(1, 60) if point.endswith("effect") else 1)
    if point in {"in-revoke", "settled-not-committed"}:
        force_a_revoke(bench, name)
    until(witness.exists, f"the kill at {point}", WITHIN_S)
    bench.member(name)


def force_a_revoke(bench: GroupBench, name: str) -> None:
    """While the others are away this one has every partition; some are taken away when they return."""
    others = [other for other in NAMES if other != name]
    for other in others:
        bench.members[other].stop()
    bench.shared(1)
    for other in others:
        bench.member(other)


if __name__ == "__main__":
    main()
