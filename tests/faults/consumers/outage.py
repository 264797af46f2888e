"""The warehouse's table is away for a while, under load: what the group does meanwhile and afterwards (a program).

    python -m tests.faults.consumers.outage --seconds 120

Only retries, no dead letter, everything held within its bounds, full recovery, every order's changes in order and once.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from feed.local import Broker, DynamoDbLocal, Guardian, LocalSettings, Site
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.tools import require_java
from feed.testing import until
from tests.faults.consumers.effects import Picks
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import OrdersTopic

LOOK_EVERY_S = 0.5
TINY = {"max_held_records": 60, "fetch_records": 20, "retry_cap_ms": 2_000}
"""Bounds that a short outage reaches."""

GAUGES = ("held_records", "held_bytes", "parked_keys", "uncommitted_span", "paused")


class Store(Protocol):
    """What goes away and comes back with its state."""

    def kill(self) -> None: ...
    def restart(self, within_s: float | None = None) -> None: ...


@dataclass
class Seen:
    """What the members said of themselves."""

    most: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """The highest value of each gauge, over all partitions and members."""
    retries: float = 0
    recovered_s: float = 0


def outage(group: GroupBench, store: Store, *, seconds: float, rate: float) -> Seen:
    """Let the store be away for so long while orders flow in; returns when all is recovered and judged."""
    group.topic.feed(rate)
    group.shared(len(group.members))
    group.advance()
    seen = Seen()
    store.kill()
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(LOOK_EVERY_S)  # the outage itself
        look(group, seen)
    store.restart()
    back = time.monotonic()
    target = group.topic.ends()
    until(lambda: all(offset >= target[n] for n, offset in group.committed().items()), "what piled up to be done")
    seen.recovered_s = time.monotonic() - back
    group.advance()
    group.topic.end_feed()
    group.drained()
    group.effects.check_all(group.topic)
    assert group.dead_letters() == []
    assert all(program.pid is not None for program in group.members.values()), "a member gave up"
    seen.retries = sum(total(group.metrics(name), "feed_consumer_retries_total") for name in group.members)
    return seen


def look(group: GroupBench, seen: Seen) -> None:
    """Note the highest that members hold now."""
    for name in group.members:
        for (metric, _), value in group.metrics(name).items():
            gauge = metric.removeprefix("feed_consumer_")
            if gauge in GAUGES:
                seen.most[gauge] = max(seen.most[gauge], value)


def total(metrics: Mapping[tuple[str, tuple[str, ...]], float], name: str) -> float:
    """A counter over all its labels."""
    return sum(value for (metric, _), value in metrics.items() if metric == name)


@contextmanager
def running(folder: Path) -> Iterator[tuple[Broker, DynamoDbLocal, Site]]:
    """A broker, and DynamoDB Local on a file."""
    guardian = Guardian()
    site = Site(folder / "state", folder / "logs", guardian, LocalSettings(), disposable=True)
    site.state_dir.mkdir()
    java = require_java(install=False)
    broker = Broker("solo", site, java=java, jars=kafka_jars(site.settings))
    store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=True)
    with ExitStack() as stack:
        stack.callback(guardian.close)
        for part in (broker, store):
            stack.callback(part.finish)
            part.start()
            part.wait_ready()
        yield broker, store, site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=100.0, help="changes a second")
    told = parser.parse_args()
    with TemporaryDirectory() as folder, running(Path(folder)) as (broker, store, site), ExitStack() as stack:
        topic = OrdersTopic(broker.bootstrap)
        settings: dict[str, Any] = {}
        group = GroupBench(topic, Picks(store.endpoint), site, Path(folder), settings)
        stack.callback(group.close)
        stack.callback(topic.close)
        for name in ("one", "two", "three"):
            group.member(name)
        seen = outage(group, store, seconds=told.seconds, rate=told.rate)
        print(f"{told.seconds:.0f} s without the table, {topic.changes} changes of {len(topic.written)} orders:")
        print(f"  retries {seen.retries:.0f}, dead letters 0, recovered {seen.recovered_s:.1f} s after the table")
        print(f"  most held by a partition: {dict(seen.most)}")


if __name__ == "__main__":
    main()
