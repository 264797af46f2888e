"""The runtime against bare loops and against others, on the same records of one broker.

    python -m benchmarks.consumers.loops [--records 1000000] [--rounds 3] [--peers PYTHON]
    python -m benchmarks.consumers.loops --soak 10       # memory over ten passes of the topic in one process

Every loop reads the whole topic once in a group of its own and decodes every record with fastavro: 115-byte orders on 8
partitions. Printed: records a second and CPU milliseconds per 1,000 records (user and system, of the process), best and
median of the rounds, and the share of the bare loop that the runtime keeps. The loops take turns, so that a busy
machine is busy for all of them. ``PYTHON`` is an interpreter with the peers installed (``peers.py`` says how).
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import TopicPartition
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from consumers.runtime import KafkaBroker, Partition, PartitionWriter, Record, RuntimeSettings, consumer
from feed.local import Broker, Guardian, LocalSettings, Site
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.testing import create_topics

PARTITIONS = 8
SCHEMA = parse_schema(json.loads(Path(__file__).with_name("order.avsc").read_text(encoding="utf-8")))
PEERS = {
    "FastStream, batch": 1.0,
    "Quix Streams": 0.5,
    "arroyo": 0.5,
    "Faust": 0.1,
    "FastStream, one by one": 0.02,
}
"""Others, and the share of the records that they are given: the slow ones need not be waited for."""

PEER_WITHIN_S = 60


def encode(number: int) -> bytes:
    out = io.BytesIO()
    order = {
        "orderId": f"o-{number % 50_000:08d}",
        "status": "shipped",
        "customerId": f"c-{number % 5_000:05d}",
        "revision": number,
        "total": 12_345,
        "updatedAt": 1_764_000_000_000 + number,
        "note": "x" * 77,
    }
    schemaless_writer(out, SCHEMA, order)
    return out.getvalue()


def decode(value: bytes) -> Any:
    return schemaless_reader(io.BytesIO(value), SCHEMA, None)


class Counting:
    """A record sink that only counts."""

    name = "counting"

    def __init__(self) -> None:
        self.count = 0

    def handle(self, _change: Any) -> None:
        self.count += 1


class Waiting(Counting):
    """A record sink whose effect takes 5 ms."""

    name = "waiting"

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def handle(self, _change: Any) -> None:
        time.sleep(0.005)
        with self.lock:
            self.count += 1


class DecodingWriter:
    """A batch writer that decodes every record and is durable at once."""

    def __init__(self, sink: Decoding, start: int) -> None:
        self.sink = sink
        self.next = start

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            decode(record.value() or b"")
        self.next = records[-1].offset() + 1
        self.sink.count += len(records)

    def tick(self, now_ms: int) -> None: ...
    def flush(self, within_ms: int | None = None) -> None: ...
    def close(self) -> None: ...

    def durable(self) -> int:
        return self.next


class Decoding:
    name = "decoding"

    def __init__(self) -> None:
        self.count = 0

    def open(self, _partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        return committed, DecodingWriter(self, committed)


class Bench:
    def __init__(self, bootstrap: str, records: int) -> None:
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="bench")
        self.records = records
        self.topic = "bench"
        self.groups = 0
        create_topics(bootstrap, {self.topic: PARTITIONS})
        producer = self.clients.producer(**{"linger.ms": 50, "batch.num.messages": 10_000})
        for number in range(records):
            while True:
                try:
                    producer.produce(self.topic, encode(number), f"o-{number % 50_000:08d}")
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % 1000 == 0:
                producer.poll(0)
        producer.flush(60)

    def group(self) -> str:
        self.groups += 1
        return f"bench-{self.groups}"

    def bare(self, read: Callable[[Any], int]) -> float:
        client = self.clients.group_consumer(self.group())
        starts = [TopicPartition(self.topic, number, 0) for number in range(PARTITIONS)]
        client.assign(starts)
        first = client.poll(30)
        assert first is not None
        began, done = time.perf_counter(), 1
        while done < self.records:
            done += read(client)
        took = time.perf_counter() - began
        client.close()
        return took

    def bare_consume(self) -> tuple[float, int]:
        def read(client: Any) -> int:
            messages = client.consume(500, 0.1)
            for message in messages:
                if message.error() is None:
                    decode(message.value())
            return len(messages)

        return self.bare(read), self.records

    def bare_poll(self) -> tuple[float, int]:
        def read(client: Any) -> int:
            message = client.poll(0.1)
            if message is None or message.error() is not None:
                return 0
            decode(message.value())
            return 1

        return self.bare(read), self.records

    def peer(self, python: str, name: str, share: float) -> tuple[float, float] | None:
        """Records a second and CPU ms per 1,000 of another library, in a process of its own; None when it failed."""
        script = str(Path(__file__).with_name("peers.py"))
        wanted = str(int(self.records * share))
        bootstrap = self.clients.settings.bootstrap_servers
        told = [python, script, bootstrap, self.topic, self.group(), wanted, name]
        try:
            ran = subprocess.run(told, capture_output=True, text=True, timeout=PEER_WITHIN_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"{name} did not end within {PEER_WITHIN_S} s", flush=True)
            return None
        for line in ran.stdout.splitlines():
            if line.startswith("{"):
                said = json.loads(line)
                return said["rate"], said["cpu"]
        print(f"{name} said nothing: {ran.stderr[-2000:]}", flush=True)
        return None

    def runtime(self, sink: Any, *, at_most: int | None = None, **settings: Any) -> tuple[float, int]:
        wanted = self.records if at_most is None else min(at_most, self.records)
        runtime_settings = RuntimeSettings(**settings)
        stop = threading.Event()
        running = consumer(
            sink,
            topic=self.topic,
            group=self.group(),
            broker=KafkaBroker(self.clients, runtime_settings),
            decode=decode,
            time_of=lambda order: order["updatedAt"],  # type: ignore[index]  # the bench's changes are plain records
            settings=runtime_settings,
            telemetry=Telemetry("bench"),
            stop=stop,
        )
        took: list[float] = []

        def watch() -> None:
            while sink.count == 0:
                time.sleep(0.001)
            began, already = time.perf_counter(), sink.count
            while sink.count < wanted:
                time.sleep(0.01)
            took.append((time.perf_counter() - began) * wanted / (wanted - already))
            stop.set()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        running.run_forever()
        watcher.join()
        return took[0], wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help="an interpreter with FastStream, Quix Streams and arroyo")
    parser.add_argument("--soak", type=int, default=0, help="passes over the topic by one record sink in line")
    parser.add_argument("--prefetch-records", type=int, default=RuntimeSettings().prefetch_records)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        guardian = Guardian()
        site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, LocalSettings(), disposable=True)
        site.state_dir.mkdir()
        broker = Broker("solo", site, java=require_java(install=False), jars=kafka_jars(site.settings))
        try:
            broker.start()
            broker.wait_ready()
            bench = Bench(broker.bootstrap, arguments.records)
            if arguments.soak:
                soak(bench, arguments.soak, arguments.prefetch_records)
            else:
                report(bench, arguments.rounds, arguments.peers)
        finally:
            broker.finish()
            guardian.close()


def soak(bench: Bench, passes: int, prefetch_records: int) -> None:
    """One pass after the other in one process: the most resident memory during each, and the rate."""
    page = resource.getpagesize()
    most: list[int] = []
    rates: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            most[-1] = max(most[-1], int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * page >> 20)

    most.append(0)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    for number in range(passes):
        took, records = bench.runtime(Counting(), prefetch_records=prefetch_records)
        rates.append(round(records / took))
        if number < passes - 1:
            most.append(0)
    done.set()
    watcher.join()
    print(f"{passes * bench.records} records; most resident MiB during each pass of {bench.records}: {most}")
    print(f"records a second in each pass: {rates}, prefetch_records {prefetch_records}")


def report(bench: Bench, rounds: int, peers: str | None) -> None:
    loops: dict[str, Callable[[], tuple[float, int]]] = {
        "bare consume(500)": bench.bare_consume,
        "runtime, batch sink": lambda: bench.runtime(Decoding()),
        "bare poll()": bench.bare_poll,
        "runtime, record sink in line": lambda: bench.runtime(Counting()),
        "runtime, 32 in flight of 5 ms": lambda: bench.runtime(Waiting(), at_most=60_000, in_flight=32),
    }
    rates: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    peaks = []
    for _ in range(rounds):
        for name, loop in loops.items():
            cpu = time.process_time()
            took, records = loop()
            rates[name].append(records / took)
            costs[name].append((time.process_time() - cpu) * 1e6 / records)
        for name, share in PEERS.items() if peers else ():
            found = bench.peer(str(peers), name, share)
            if found is not None:
                rates[name].append(found[0])
                costs[name].append(found[1])
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(f"{bench.records} records of {len(encode(1))} bytes, {rounds} rounds")
    for name, seen in rates.items():
        best, median = max(seen), statistics.median(seen)
        print(f"{name:32} best {best:9,.0f}/s  median {median:9,.0f}/s  {min(costs[name]):6.2f} CPU ms per 1,000")
    for ours, bare in (
        ("runtime, batch sink", "bare consume(500)"),
        ("runtime, record sink in line", "bare poll()"),
    ):
        print(f"{ours}: {max(rates[ours]) / max(rates[bare]):.0%} of {bare} by rate, ", end="")
        print(f"{min(costs[bare]) / min(costs[ours]):.0%} by CPU")
    print(f"32 in flight: {max(rates['runtime, 32 in flight of 5 ms']) / 6_400:.0%} of the 6,400/s that 5 ms allow")
    print(f"peak memory of this process after each round, MiB: {peaks}")


if __name__ == "__main__":
    main()
