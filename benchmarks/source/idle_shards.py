"""Thousands of mostly idle shards: what a worker costs, and how soon it sees one wake up.

``python benchmarks/source/idle_shards.py [--shards 2000] [--seconds 60] [--settings '{}']`` serves a simulated stream
over HTTP and starts a broker and a worker. Counted are the worker's own CPU and memory and the calls that it makes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from benchmarks.source.delay import PARTITIONS, process, share
from benchmarks.source.throughput import topics
from connectors.kafka import KafkaClients, KafkaSettings
from feed.local import Stack, StackPlan
from feed.testing.simulator import SimulatedStreams, StreamsApi, StreamsServer, WallClock
from schemas.headers import facts_of
from schemas.position import Position, ShardState

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


class Topics:
    """What became readable."""

    def __init__(self, bootstrap: str) -> None:
        self._reader = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="benchmark").reader()
        parts = [TopicPartition("orders", number, OFFSET_BEGINNING) for number in range(PARTITIONS)]
        parts += [TopicPartition("orders.positions", number, OFFSET_BEGINNING) for number in range(8)]
        self._reader.assign(parts)
        self.reading: set[str] = set()
        self.seen: dict[str, float] = {}

    def poll(self) -> None:
        first = self._reader.poll(0.1)
        for message in [] if first is None else [first, *self._reader.consume(1_000, 0)]:
            key = message.key() or b""
            if message.error() is not None:
                continue
            if message.topic() == "orders":
                self.seen.setdefault(facts_of(message.headers()).subject, time.monotonic())
            elif key[:1] != b"@" and Position.from_json(key, message.value()).state is ShardState.READING:
                self.reading.add(key.decode())

    def until(self, holds: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError
            self.poll()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--shards", type=int, default=2_000)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--wake", type=int, default=40, help="shards that are woken, one after the other")
    options.add_argument("--settings", default="{}", help="of the producer, as JSON")
    given = options.parse_args()
    chance = random.Random(1)
    streams = SimulatedStreams(WallClock(), chance)
    streams.enable(given.shards)
    streams.rates.describes_per_second = 10
    api = StreamsApi(streams)
    plan = StackPlan(regions=("eu",), mirrors=False, object_store=False, ministack=False, dynamodb=False)
    with StreamsServer(api.answer) as server, Stack(plan) as stack:
        stack.start()
        topics(stack.bootstrap("eu"), "orders", PARTITIONS)
        config = {"endpoint": server.endpoint, "bootstrap": stack.bootstrap("eu"), "table": "orders", "feed": "orders"}
        found = Topics(stack.bootstrap("eu"))
        begun = time.monotonic()
        config["settings"] = json.loads(given.settings)
        with process("contenders.py", "worker", json.dumps(config | {"plain": True})) as worker:
            found.until(lambda: len(found.reading) >= given.shards, 120.0)
            print(f"{given.shards} shards read {time.monotonic() - begun:.1f} s after the worker's start", flush=True)
            time.sleep(45)  # pauses grow to their longest
            used, calls, at = cpu_s(worker.pid), dict(api.calls), time.monotonic()
            while time.monotonic() - at < given.seconds:
                found.poll()
            passed = time.monotonic() - at
            share_of_core = (cpu_s(worker.pid) - used) / passed
            made = {name: (count - calls.get(name, 0)) / passed for name, count in api.calls.items()}
            print(f"CPU {share_of_core:.1%} of a core, {resident_mib(worker.pid):.0f} MiB resident")
            print("calls a second: " + ", ".join(f"{name} {rate:.1f}" for name, rate in made.items() if rate))
            wake(api, found, given.wake, chance)


def wake(api: StreamsApi, found: Topics, times: int, chance: random.Random) -> None:
    """Write to one shard after the other, and wait for each."""
    written: dict[str, float] = {}
    for _ in range(times):
        key = f"woken-{chance.randrange(10**9)}"
        with api.lock:
            api.streams.write(key)
        written[key] = time.monotonic()
        until = written[key] + 1.0
        while time.monotonic() < until:
            found.poll()
    found.until(lambda: written.keys() <= found.seen.keys(), 120.0)
    delays = [round(1_000 * (found.seen[key] - at)) for key, at in written.items()]
    print(f"a shard that wakes is seen after p50 {share(delays, 0.5)} ms, at most {max(delays)} ms")


if __name__ == "__main__":
    main()
