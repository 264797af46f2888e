"""How long a frozen worker's open transaction holds readers back (a program, not a test).

    python -m tests.faults.producers.held_back --times 5 [--nobody]

A worker is frozen between produce and commit; beside it a plain producer writes a heartbeat into every partition every
50 ms. A read_committed reader sees none of a partition's heartbeats behind the open transaction until it is ended: by a
new owner, whose init fences the sleeper (two workers), or, with nobody left, by the transaction coordinator.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from typing import Any, Self

from confluent_kafka import OFFSET_END, TopicPartition

from feed.local import LocalSettings
from feed.testing import until
from producers.stream import ProducerSettings
from tests.faults.producers.campaign import answers, own_site, parts
from tests.faults.producers.progress import SteadyWriter
from tests.integration.producers.producer_bench import PARTITIONS, Bench

POINT = "between produce and commit"
BEAT_S = 0.05
SCAN_S = 10.0
"""How often a coordinator looks for transactions that are over time: Kafka's default of
``transaction.abort.timed.out.transaction.cleanup.interval.ms``."""

NOTHING_SENT_S = 1.0
"""Held for less: the frozen transaction had no change, or none at the broker."""

WATCH_S = 30.0
"""Longer than the transaction's time-out and the coordinator's scan together."""


class Heartbeat:
    """Writes into every partition, and keeps how late what it wrote became readable."""

    def __init__(self, bench: Bench) -> None:
        self.latest_s = 0.0
        """Longest time from a beat's write until it was readable."""
        self._feed, self._producer = bench.feed, bench.kafka.producer()
        self._reader = bench.kafka.reader()
        self._reader.assign([TopicPartition(bench.feed, number, OFFSET_END) for number in range(PARTITIONS)])
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._beat, self._listen)]

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            for number in range(PARTITIONS):
                self._producer.produce(self._feed, b"%.6f" % time.monotonic(), b"@beat", number)
            self._producer.poll(0)

    def _listen(self) -> None:
        while not self._stop.is_set():
            message: Any = self._reader.poll(0.2)
            if message is not None and message.error() is None and message.key() == b"@beat":
                self.latest_s = max(self.latest_s, time.monotonic() - float(message.value()))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._producer.flush(5)
        self._reader.close()


def held_s(bench: Bench, heartbeat: Heartbeat, *, others: bool) -> float:
    """Freeze a worker and watch; seconds for which a reader was held back."""
    settings = {"session_timeout_ms": ProducerSettings().session_timeout_ms}
    workers = {"frozen": bench.worker("frozen", **settings)}
    if others:
        workers["other"] = bench.worker("other", **settings)
    until(lambda: all(answers(worker) for worker in workers.values()), "the workers to be ready")
    time.sleep(random.uniform(2.0, 2.0 + SCAN_S))  # anywhere in the coordinator's own rhythm
    heartbeat.latest_s = 0.0
    bench.arm("frozen", workers["frozen"], point=POINT, blow="SIGSTOP")
    until(bench.witness("frozen").exists, "the freeze")
    time.sleep(WATCH_S)
    held = heartbeat.latest_s
    for worker in workers.values():
        worker.kill()
    return held


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--nobody", action="store_true", help="only with nobody to take over")
    told = parser.parse_args()
    settings = ProducerSettings()
    print(f"session {settings.session_timeout_ms} ms, transaction time-out {settings.transaction_timeout_ms} ms")
    with own_site(LocalSettings()) as site, parts(site) as bench:
        bench.table.shards.split(8)
        with SteadyWriter(bench.table), Heartbeat(bench) as heartbeat:
            for others in (False,) if told.nobody else (True, False):
                held = sorted(held_s(bench, heartbeat, others=others) for _ in range(told.times))
                who = "another worker takes over" if others else "nobody takes over"
                print(f"{who}: {', '.join(f'{seconds:.1f}' for seconds in held)} s", flush=True)
                nothing = sum(seconds < NOTHING_SENT_S for seconds in held)
                print(f"  in {nothing} of them nothing of the transaction was at the broker yet", flush=True)


if __name__ == "__main__":
    main()
