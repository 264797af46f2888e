"""Workers killed and frozen at every named point, for minutes, while shards roll and split (a program, not a test).

    python -m tests.faults.producers.campaign --seconds 180 --seed 1

Three workers, DynamoDB Local and a broker, writes at a steady rate; every two seconds some shards roll over or one
splits. A fault is armed in one worker and counted when it struck; before the next one, everything that was
acknowledged after the strike is readable, and every slot that has an open shard with keys has committed positions. A
frozen worker sleeps until the others have its slots and got on, then wakes up, and all get on again. At the end the
judges of ``feed verify`` decide.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx

from feed.local import Broker, DynamoDbLocal, Guardian, LocalSettings, Program, Site
from feed.local.jars import dynamodb_jars, kafka_jars
from feed.local.tools import require_java
from feed.testing import unique_name, until
from feed.testing.tables import new_rolling_table
from feed.verify import Verdict
from tests.faults.producers.progress import Progress, ProgressReader, SteadyWriter, verdict_of
from tests.integration.producers.producer_bench import SLOTS, Bench

POINTS = (
    "before init",
    "after init",
    "reading back",
    "between produce and commit",
    "after commit",
    "discovering",
)
TAKING = POINTS[:3]
"""Points that a worker only comes to when it is given a slot."""

NAMES = ("one", "two", "three")
SETTINGS = {"session_timeout_ms": 2_000, "discovery_interval_ms": 2_000}
SHARDS_MAX = 24
SHAKE_EVERY_S = 2.0
SHARDS_KEPT = 80
"""Shards that the stream lists at most: on AWS a closed one is gone after a day, six rollovers later."""


class Shaker:
    """Rolls some of the open shards over, or splits one, every two seconds; takes the oldest finished ones away."""

    def __init__(self, bench: Bench, chance: random.Random, progress: Progress) -> None:
        self.rolled = self.splits = self.forgotten = 0
        self._progress = progress
        self._shards, self._chance = bench.table.shards, chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self) -> list[str]:
        """Open shards."""
        return [shard.shard_id for shard in self._shards.shards() if shard.is_open]

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(SHAKE_EVERY_S):
            turn += 1
            self._forget()
            shards = self.open()
            if turn % 2 and len(shards) < SHARDS_MAX:
                self._shards.split(2, [self._chance.choice(shards)])
                self.splits += 1
            else:
                chosen = self._chance.sample(shards, max(1, len(shards) // 4))
                self.rolled += len(self._shards.roll(chosen))

    def _forget(self) -> None:
        listed = self._shards.shards()
        ended = [s.shard_id for s in listed if not s.is_open and s.shard_id in self._progress.finished]
        chosen = ended[: max(0, len(listed) - SHARDS_KEPT)]
        if chosen:
            self._shards.forget(chosen)
            self.forgotten += len(chosen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass
class Report:
    """What a run did."""

    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Point and blow → how often a worker was really hit."""
    recovered_s: list[float] = field(default_factory=list)
    """From a strike until all that was acknowledged a second after it is readable."""
    stillest_s: float = 0.0
    slots: list[int] = field(default_factory=list)
    """At each fault: slots that had an open shard, all of which got on."""
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    def at(self, point: str) -> int:
        """Strikes at a point, of both kinds."""
        return sum(times for (where, _), times in self.struck.items() if where == point)

    def lines(self) -> Iterator[str]:
        """For a person."""
        for point in POINTS:
            blows = (self.struck[point, "SIGKILL"], self.struck[point, "SIGSTOP"])
            yield f"{point:28} killed {blows[0]:2}  frozen {blows[1]:2}"
        times = sorted(self.recovered_s)
        total = self.struck.total()
        yield f"{total} faults in {self.seconds:.0f} s, stand-still of the topic at most {self.stillest_s:.1f} s"
        yield f"all on again {times[len(times) // 2]:.1f} s after a strike (median), {times[-1]:.1f} s at most"
        yield f"slots with an open shard, all of which got on between faults: {min(self.slots)} to {max(self.slots)}"
        yield self.verdict.line()
        yield from self.verdict.examples()


class Campaign:
    """Strikes one worker after the other."""

    def __init__(
        self, bench: Bench, writer: SteadyWriter, reader: ProgressReader, shaker: Shaker, chance: random.Random
    ) -> None:
        self.bench, self.writer, self.reader, self.shaker, self.chance = bench, writer, reader, shaker, chance
        self.workers: dict[str, Program] = {}
        self.report = Report()

    def run(self, seconds: float, each: int, say: Callable[[str], None]) -> None:
        """Faults for so many seconds, and until each point had its least number of them."""
        for name in NAMES:
            self.start(name)
        self.ready()
        self.on()
        self.reader.still()
        report, begun = self.report, time.monotonic()
        for point, blow in faults(self.chance):
            at = time.monotonic()
            if at - begun >= seconds and all(report.at(each_point) >= each for each_point in POINTS):
                break
            self.strike(point, blow)
            say(f"{report.struck.total():3} {point:28} {blow} {time.monotonic() - at:5.1f} s")
        report.seconds = time.monotonic() - begun

    def start(self, name: str) -> None:
        """Start a worker, anew if it ran before."""
        self.workers[name] = self.bench.worker(name, **SETTINGS)

    def ready(self) -> None:
        """Every worker serves its slots, or waits for some: it can be armed."""
        until(lambda: all(answers(worker) for worker in self.workers.values()), "every worker to answer")

    def on(self) -> None:
        """All that is acknowledged becomes readable, and every slot with work commits positions."""
        before = dict(self.reader.seen.slots)
        time.sleep(1.0)  # every order is written meanwhile
        wanted, shards = self.writer.written(), self.shaker.open()
        slots = {zlib.crc32(shard.encode()) % SLOTS for shard in shards}
        until(lambda: self.reader.reached(wanted), "what was written to become readable")
        until(lambda: all(self.reader.seen.slots[s] > before.get(s, 0) for s in slots), f"positions of slots {slots}")
        self.report.slots.append(len(slots))

    def strike(self, point: str, blow: str) -> None:
        """One fault, and the way back."""
        victim, other = self.chance.sample(NAMES, 2)
        self.bench.arm(victim, self.workers[victim], point=point, blow=blow)
        if point in TAKING:
            self.workers[other].stop()  # its slots go to the two others
        until(self.bench.witness(victim).exists, f"{victim} to come to {point!r}")
        struck = time.monotonic()
        self.report.struck[point, blow] += 1
        if point in TAKING:
            self.start(other)
        if blow == "SIGKILL":
            until(lambda: self.workers[victim].pid is None, "the worker's death")
            self.workers[victim].kill()  # reaps what is left of it
            self.start(victim)
        self.on()
        self.report.recovered_s.append(time.monotonic() - struck)
        if blow == "SIGSTOP":
            self.workers[victim].resume()
            self.on()
            assert self.workers[victim].pid is not None, "a worker that woke up ended"
        self.ready()
        self.report.stillest_s = max(self.report.stillest_s, self.reader.still())


def answers(worker: Program) -> bool:
    """Whether a worker is ready: it has slots, and they run."""
    try:
        return httpx.get(worker.addresses["telemetry"] + "/readyz", timeout=1.0).status_code == 200
    except httpx.HTTPError:
        return False


def faults(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Every point once, in some order, again and again; kills and freezes take turns at each."""
    for blows in _turns():
        for point in chance.sample(POINTS, len(POINTS)):
            yield point, blows[POINTS.index(point) % 2]


def _turns() -> Iterator[tuple[str, str]]:
    while True:
        yield "SIGKILL", "SIGSTOP"
        yield "SIGSTOP", "SIGKILL"


def run(bench: Bench, *, seconds: float, each: int, seed: int, say: Callable[[str], None]) -> Report:
    """Faults for so many seconds, and at least ``each`` at every point; judged."""
    chance = random.Random(seed)
    bench.table.shards.split(4)
    bench.table.shards.split(3)
    writer = SteadyWriter(bench.table)
    with ProgressReader(bench) as reader:
        shaker = Shaker(bench, chance, reader.seen)
        campaign = Campaign(bench, writer, reader, shaker, chance)
        with writer, shaker:
            campaign.run(seconds, each, say)
        until(lambda: reader.reached(writer.written()), "the last of what was written")
    shards = f"{len(shaker.open())} shards open at the end, {shaker.forgotten} taken off the stream"
    say(f"{shaker.rolled} rollovers and {shaker.splits} splits; {shards}")
    campaign.report.verdict = verdict_of(bench, writer.entries)
    return campaign.report


@contextmanager
def own_site(settings: LocalSettings) -> Iterator[Site]:
    """A place for parts, in memory where there is such a folder: the table's file is written to with every put."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder, ExitStack() as stack:
        guardian = Guardian()
        stack.callback(guardian.close)
        site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, settings, disposable=True)
        site.state_dir.mkdir()
        yield site


@contextmanager
def parts(site: Site) -> Iterator[Bench]:
    """A bench with a broker and a DynamoDB Local of its own."""
    with ExitStack() as stack:
        java = require_java(install=False)
        broker = Broker("solo", site, java=java, jars=kafka_jars(site.settings))
        store = DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=True)
        for part in (broker, store):
            stack.callback(part.finish)
            part.start()
        for part in (broker, store):
            part.wait_ready()
        table = new_rolling_table(store)
        bench = Bench(unique_name("orders"), broker.bootstrap, table, store.endpoint, site, site.state_dir)
        stack.callback(bench.close)
        yield bench


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--each", type=int, default=5, help="least number of strikes at each point")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kafka", default=LocalSettings().kafka_version, help="version of the broker")
    told = parser.parse_args()
    with own_site(LocalSettings(kafka_version=told.kafka)) as site, parts(site) as bench:
        say = partial(print, flush=True)
        report = run(bench, seconds=told.seconds, each=told.each, seed=told.seed, say=say)
    print("\n".join(report.lines()))
    sys.exit(0 if report.verdict.holds else 1)


if __name__ == "__main__":
    main()
