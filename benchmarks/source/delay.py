"""From PutItem to readable in the topic: at 20 and at 400 writes a second, with the settings that production has.

``python benchmarks/source/delay.py [--rates 20 400] [--seconds 45] [--settings '{"poll_interval_ms": 100}']`` starts a
broker and a DynamoDB Local; worker and writers are processes of their own. A delay begins when PutItem is called and
ends when a read_committed reader has the change. The first seconds, in which Java compiles, are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from confluent_kafka import OFFSET_END, TopicPartition

from benchmarks.source.throughput import HERE, topics
from connectors.aws import AwsClients
from connectors.kafka import KafkaClients, KafkaSettings
from feed.local import Stack, StackPlan
from feed.testing.tables import aws_settings, create_table
from schemas import bundled
from schemas.codec import ChangeCodec
from tests.faults.producers.progress import SteadyWriter

PARTITIONS = 4
WARM_S = 15.0
CODEC = ChangeCodec.for_image(bundled.load("order"))


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process of this folder, ended with the block."""
    argv = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


class Arrivals:
    """Reads the topic's end and keeps each change's delay in ms."""

    def __init__(self, bootstrap: str, feed: str) -> None:
        kafka = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="benchmark")
        self._reader = kafka.reader()
        self._reader.assign([TopicPartition(feed, number, OFFSET_END) for number in range(PARTITIONS)])
        self.delays: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            # consume() waits for as many as it was asked for: wait for one, then take what is there
            first = self._reader.poll(0.2)
            found = [] if first is None else [first, *self._reader.consume(1_000, 0)]
            now_ms = time.time_ns() // 1_000_000
            for message in found:
                if message.error() is None and (image := CODEC.decode(message.value()).after) is not None:
                    written_ms = int(image["updatedAt"])
                    self.delays.append((time.monotonic(), now_ms - written_ms))

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self._reader.close()


def share(delays: list[int], part: float) -> int:
    return sorted(delays)[min(len(delays) - 1, int(part * len(delays)))]


def measure(endpoint: str, bootstrap: str, feed: str, rate: float, seconds: float) -> None:
    argv = json.dumps({"endpoint": endpoint, "table": feed, "rate": rate})
    arrivals = Arrivals(bootstrap, feed)
    with process("delay.py", "--write", argv):
        time.sleep(WARM_S)
        begun = time.monotonic()
        time.sleep(seconds)
        delays = [delay for at, delay in list(arrivals.delays) if at >= begun]
    arrivals.end()
    p50, p99 = share(delays, 0.5), share(delays, 0.99)
    print(f"{rate:4.0f}/s  {len(delays):6} changes  p50 {p50} ms  p99 {p99} ms  most {max(delays)} ms", flush=True)


def write(config: dict[str, Any]) -> None:
    """Write until killed."""

    class Target:
        aws, name = AwsClients(aws_settings(config["endpoint"])), config["table"]

    with SteadyWriter(Target(), orders=2_000, rate_per_s=config["rate"], threads=4):  # type: ignore[arg-type]  # what it needs of a table
        while True:
            time.sleep(60)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rates", type=float, nargs="+", default=[20.0, 400.0])
    options.add_argument("--seconds", type=float, default=45.0)
    options.add_argument("--settings", default="{}", help="of the producer, as JSON")
    options.add_argument("--write", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.write:
        write(json.loads(given.write))
    plan = StackPlan(regions=("eu",), mirrors=False, object_store=False, ministack=False)
    with Stack(plan) as stack:
        stack.start()
        bootstrap, endpoint = stack.bootstrap("eu"), stack.part("dynamodb").addresses["endpoint"]
        create_table(AwsClients(aws_settings(endpoint)), "orders")
        topics(bootstrap, "orders", PARTITIONS)
        config = {"endpoint": endpoint, "bootstrap": bootstrap, "table": "orders", "feed": "orders"}
        with process("contenders.py", "worker", json.dumps(config | {"settings": json.loads(given.settings)})):
            print(f"settings: {given.settings}")
            for rate in given.rates:
                measure(endpoint, bootstrap, "orders", rate, given.seconds)


if __name__ == "__main__":
    main()
