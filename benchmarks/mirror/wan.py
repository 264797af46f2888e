"""What a change costs on the way to another region, and how long it takes: MirrorMaker and its settings compared.

    PYTHONPATH=. uv run --frozen python -m benchmarks.mirror.wan

Two clusters, 75 ms apart by the local stack's proxy, which counts bytes each way (TCP's payload); orders as an order
service writes them, 400 changes/s in transactions of the feed's producer. Results are kept in ``--results``, so that a
run that was stopped goes on where it was; the table is printed and the pictures are drawn.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import TopicPartition

from benchmarks.mirror.wan_report import draw, table
from benchmarks.mirror.wan_setup import SETUPS, Result, Setup
from benchmarks.schemas.orders import change_of, stream_records
from connectors.kafka import KafkaClients, KafkaSettings
from feed.local import Broker, Guardian, Link, LocalSettings, Site
from feed.local.jars import kafka_jars, metrics_agent
from feed.local.mirror import Mirror
from feed.local.tools import require_java
from feed.testing import create_topics
from mirrormaker import LOCAL_PACE, Cluster, Flow, Form, render
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.headers import headers_of

RATE, PARTITIONS, ROUND_TRIP_MS = 400, 8, 75.0
WARM_S, MEASURE_S = 3.0, 12.0
FIRST_COPY_WITHIN_S = 60.0
PRODUCED = "produced-ns"


@dataclass(frozen=True)
class Record:
    """A change as it goes on the wire."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def records(count: int) -> list[Record]:
    """Real orders, encoded."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    changes = [change_of(codec, one, number) for number, one in enumerate(stream_records(count))]
    return [
        Record(_subject(change_headers), codec.encode(change), change_headers)
        for change in changes
        for change_headers in [headers_of(change)]
    ]


def _subject(headers: list[tuple[str, bytes]]) -> bytes:
    return dict(headers)["ce_subject"]


class Bench:
    """Two regions and the way between them, used by either."""

    def __init__(self, site: Site) -> None:
        java, self._jars = require_java(install=True), kafka_jars(site.settings)
        self._site, self._java = site, java
        self.brokers = {
            name: Broker(name, site, java=java, jars=self._jars, listeners=["FAR"]) for name in ("eu", "us")
        }
        self.links: dict[str, Link] = {}
        for name, broker in self.brokers.items():
            link = Link(f"link-{name}", site, target=broker.port_of("FAR"), round_trip_ms=ROUND_TRIP_MS)
            broker.advertise("FAR", link.port)
            self.links[name] = link
        for part in (*self.brokers.values(), *self.links.values()):
            part.start()
        for part in (*self.brokers.values(), *self.links.values()):
            part.wait_ready()

    def close(self) -> None:
        for part in (*self.links.values(), *self.brokers.values()):
            part.finish()

    @contextmanager
    def mirror(self, setup: Setup, feed: str) -> Iterator[Link]:
        """MirrorMaker beside one of the clusters; gives the link that it uses."""
        far = "eu" if setup.runs_at == "target" else "us"
        address = {
            name: f"127.0.0.1:{self.links[name].port}" if name == far else self.brokers[name].bootstrap
            for name in ("eu", "us")
        }
        clusters = [Cluster(name, address[name], replication_factor=1) for name in ("eu", "us")]
        flow = Flow(clusters[0], clusters[1], (feed,), tasks_max=1, pace=LOCAL_PACE)
        files = render(Form.DEDICATED, flow).files
        for key, value in setup.of_the_copys_producer.items():
            line = rf"(?m)^(us\.producer\.{re.escape(key)}) = .*$"
            text, count = re.subn(line, rf"\1 = {value}", files["eu-us-mm2.properties"])
            assert count == 1, key
            files["eu-us-mm2.properties"] = text
        part = Mirror(
            "us",
            replace(self._site, state_dir=self._site.state_dir / feed),
            java=self._java,
            jars=self._jars,
            agent=metrics_agent(self._site.settings),
            files=lambda: files,
        )
        part.start()
        try:
            part.wait_ready()
            yield self.links[far]
        finally:
            part.finish()

    def measure(self, setup: Setup, number: int) -> Result:
        """Copy for a while under load, then count."""
        feed = f"bench{number}"
        for broker in self.brokers.values():
            create_topics(broker.bootstrap, {feed: PARTITIONS, f"{feed}.control": 1})
        stop = threading.Event()
        reader = Reader(self.brokers["us"].bootstrap, feed)
        with self.mirror(setup, feed) as link:
            threads = [
                threading.Thread(target=write, args=(self.brokers["eu"].bootstrap, feed, setup, stop)),
                threading.Thread(target=reader.run, args=(stop,)),
            ]
            for thread in threads:
                thread.start()
            try:
                reader.first.wait(FIRST_COPY_WITHIN_S)
                time.sleep(WARM_S)
                before, began = link.state(), time.time()
                time.sleep(MEASURE_S)
                after, ended = link.state(), time.time()
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        data, other = after.bytes_back - before.bytes_back, after.bytes_there - before.bytes_there
        if setup.runs_at == "source":
            data, other = other, data
        delays = sorted(delay for produced, delay in reader.delays if began <= produced <= ended - 1)
        count = sum(began <= produced <= ended for produced, _ in reader.delays)
        load = float(Path("/proc/loadavg").read_text().split()[0])
        return Result(
            setup=setup.name,
            changes=count,
            bytes_to_target=round(data / count, 1),
            bytes_to_source=round(other / count, 1),
            p50_ms=round(delays[len(delays) // 2] * 1000),
            p99_ms=round(delays[int(len(delays) * 0.99)] * 1000),
            load=load,
        )


class Reader:
    """Notes when each record became readable in us."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._reader = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="bench-reader").reader()
        self._reader.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self.delays: list[tuple[float, float]] = []
        self.first = threading.Event()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            message = self._reader.poll(0.1)
            if message is not None and message.error() is None:
                produced = int(dict(message.headers())[PRODUCED]) / 1e9
                self.delays.append((produced, time.time() - produced))
                self.first.set()
        self._reader.close()


def write(bootstrap: str, topic: str, setup: Setup, stop: threading.Event) -> None:
    """400 changes/s, one by one, in transactions."""
    clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="bench-writer")
    producer = clients.transactional_producer(
        f"{topic}-writer", **{"compression.type": setup.source_compression, "linger.ms": setup.source_linger_ms}
    )
    producer.init_transactions(30)
    number, began = 0, time.monotonic()
    while not stop.is_set():
        producer.begin_transaction()
        due = int((time.monotonic() - began + setup.transaction_ms / 1000) * RATE)
        while number < due:
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            one = RECORDS[number % len(RECORDS)]
            producer.produce(topic, one.value, one.key, headers=[*one.headers, (PRODUCED, b"%d" % time.time_ns())])
            producer.poll(0)
            number += 1
        producer.commit_transaction(30)


RECORDS = records(RATE * 20)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(".feed/wan.json"), help="where results are kept")
    parser.add_argument(
        "--within-s", type=float, default=460.0, help="begin no other setup after so long; 0: only report"
    )
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), help="where the pictures go")
    given = parser.parse_args()
    kept = json.loads(given.results.read_text()) if given.results.exists() else {}
    missing = [setup for setup in SETUPS if setup.name not in kept]
    until = time.monotonic() + given.within_s
    if missing and given.within_s > 0:
        with TemporaryDirectory() as folder:
            guardian = Guardian()
            site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, LocalSettings(), disposable=True)
            site.state_dir.mkdir()
            bench = Bench(site)
            try:
                for setup in missing:
                    if time.monotonic() > until:
                        break
                    kept[setup.name] = asdict(bench.measure(setup, SETUPS.index(setup)))
                    sys.stderr.write(f"{kept[setup.name]}\n")
                    given.results.parent.mkdir(parents=True, exist_ok=True)
                    given.results.write_text(json.dumps(kept, indent=1))
            finally:
                bench.close()
                guardian.close()
    results = [Result(**kept[setup.name]) for setup in SETUPS if setup.name in kept]
    print(table(results))
    if results:
        draw(results, given.pictures)


if __name__ == "__main__":
    main()
