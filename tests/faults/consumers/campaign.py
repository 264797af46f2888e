"""Kills, freezes and rebalances of five groups of three members, for minutes, each counted (a program, not a test).

    python -m tests.faults.consumers.campaign --minutes 15 --faults 60

Warehouse, notification, audit, archive and analytics read one topic, each with three processes, on a real broker,
DynamoDB Local, the S3 server and the Data API. Between two faults every partition of every group gets on, and what is
committed is compared with what is durable. At the end all is drained and every effect is judged.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from feed.local import Broker, DynamoDbLocal, Guardian, LocalSettings, ObjectStore, Site
from feed.local.data_api import DataApi
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.part import ProcessPart
from feed.local.tools import require_java
from tests.faults.consumers.effects import Effects, Notifications, Picks
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import OrdersTopic
from tests.faults.consumers.stored_effects import Archive, AuditLog, Reports
from tests.faults.consumers.striking import KINDS, strike

NAMES = ("one", "two", "three")


@dataclass
class Parts:
    """What the groups talk to."""

    bootstrap: str
    dynamodb: str
    s3: ObjectStore
    data_api: str

    def effects(self, sink: str) -> Effects:
        """Where a group's effects go: a table, bucket or warehouse of its own."""
        match sink:
            case "warehouse":
                return Picks(self.dynamodb)
            case "notification":
                return Notifications(self.dynamodb)
            case "audit":
                return AuditLog(self.s3)
            case "archive":
                return Archive(self.s3)
        return Reports(self.s3, self.data_api)


@contextmanager
def running_parts(folder: Path) -> Iterator[tuple[Parts, Site]]:
    """A broker, DynamoDB Local, S3 and the Data API as processes; gone at the end."""
    guardian = Guardian()
    site = Site(folder / "state", folder / "logs", guardian, LocalSettings(), disposable=True)
    site.state_dir.mkdir()
    java = require_java(install=False)
    broker = Broker("solo", site, java=java, jars=kafka_jars(site.settings))
    store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=False)
    s3 = ObjectStore(site)
    keys = {"access_key_id": s3.access_key_id, "secret_access_key": s3.secret_access_key}
    data_api = DataApi(site, s3_endpoint=s3.endpoint, **keys)
    parts: Sequence[ProcessPart] = (broker, store, s3, data_api)
    with ExitStack() as stack:
        stack.callback(guardian.close)
        for part in parts:
            stack.callback(part.finish)
            part.start()
        for part in parts:
            part.wait_ready()
        yield Parts(broker.bootstrap, store.endpoint, s3, data_api.endpoint), site


def plan(sinks: Sequence[str], faults: int) -> list[tuple[str, str]]:
    """Which group suffers what: every kind of every group, in an order of the seed, again and again."""
    every = [(sink, kind) for sink in sinks for kind in KINDS[sink]]
    random.shuffle(every)
    return list(itertools.islice(itertools.cycle(every), faults))


def run(groups: dict[str, GroupBench], faults: Sequence[tuple[str, str]], *, minutes: float = 0) -> Counter[str]:
    """Strike, one fault after the other, spread over the minutes; returns how often each has struck."""
    struck: Counter[str] = Counter()
    began = time.monotonic()
    for number, (sink, kind) in enumerate(faults):
        time.sleep(max(0.0, began + number * minutes * 60 / len(faults) - time.monotonic()))  # the plan's pace
        at, group, name = time.monotonic(), groups[sink], random.choice(list(groups[sink].members))
        strike(group, kind, name)
        group.shared(len(group.members))
        with ThreadPoolExecutor(len(groups)) as pool:
            list(pool.map(GroupBench.advance, groups.values()))
        struck[f"{sink} {kind}"] += 1
        print(f"{number + 1:3} {sink:12} {kind:22} {name:6} {time.monotonic() - at:5.1f} s", flush=True)
    return struck


def judge(groups: dict[str, GroupBench]) -> None:
    """Drain and look at everything; print what was found."""
    for group in groups.values():
        group.drained()
        assert group.dead_letters() == [], group.name
        print(f"{group.effects.sink:12} {group.effects.check_all(group.topic)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=15.0, help="the faults are spread over at least so many")
    parser.add_argument("--rate", type=float, default=60.0, help="changes a second, read by every group")
    parser.add_argument("--groups", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    random.seed(told.seed)
    with TemporaryDirectory() as folder, running_parts(Path(folder)) as (parts, site), ExitStack() as stack:
        topic = OrdersTopic(parts.bootstrap)
        groups = {sink: GroupBench(topic, parts.effects(sink), site, Path(folder)) for sink in told.groups}
        for group in groups.values():
            stack.callback(group.close)
            for name in NAMES:
                group.member(name)
        stack.callback(topic.close)
        topic.feed(told.rate)
        for group in groups.values():
            group.shared(len(NAMES))
            group.advance()
        began = time.monotonic()
        struck = run(groups, plan(told.groups, told.faults), minutes=told.minutes)
        took_min = (time.monotonic() - began) / 60
        topic.end_feed()
        print(f"{struck.total()} faults in {took_min:.1f} min, {topic.changes} changes of {len(topic.written)} orders")
        print(table(struck, told.groups))
        judge(groups)


def table(struck: Counter[str], sinks: Sequence[str]) -> str:
    """How often each fault struck, in Markdown."""
    kinds = list(dict.fromkeys(kind for sink in sinks for kind in KINDS[sink]))
    lines = [f"| group | {' | '.join(kinds)} |", f"| --- |{' ---: |' * len(kinds)}"]
    for sink in sinks:
        counts = [str(struck[f"{sink} {kind}"] or "–") for kind in kinds]
        lines.append(f"| {sink} | {' | '.join(counts)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
