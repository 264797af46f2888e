"""The archive and audit consumers on a backlog in a real topic and a real S3 server, and a bare loop beside them.

    python -m benchmarks.sinks.from_topic --partitions 8 64 --rounds 2

One million changes of 115 bytes (with the 13 headers of a change, and without any: ``--headers 0``) lie in a topic; a
process of its own consumes them all: CPU seconds (user and system, all threads), records a second from the first to the
last, and the peak of its resident memory. *bare* is ``consume(500)`` and one ``pyarrow`` file with zstd for each 60,000
records of a partition, written to the same S3 server: no minutes, no chain, no bound, no restart.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import TopicPartition

from benchmarks.sinks.backlog import START_MS, Made
from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from connectors.telemetry import Telemetry
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.runtime import KafkaBroker, RuntimeSettings, consumer
from feed.config.consumers import RAW_PREFETCH
from feed.local import Broker, Guardian, LocalSettings, Site
from feed.local import ObjectStore as S3Server
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.run.memory import settle_memory
from feed.testing import create_topics

KINDS = ("bare", "archive", "audit")
BARE_FILE_RECORDS = 60_000


def fill(clients: KafkaClients, topic: str, partitions: int, records: int, *, headers: bool) -> None:
    """The backlog: 24,000 changes to a minute of event time, spread over the partitions in turn."""
    producer = clients.producer(**{"linger.ms": 50, "batch.num.messages": 10_000})
    for number in range(records):
        partition = number // 60 % partitions
        made = Made(number, partition, 0, START_MS + number * 60_000 // 24_000)
        sent = made.headers() if headers else []
        while True:
            try:
                producer.produce(
                    topic, made.value(), made.key(), partition, timestamp=made.timestamp()[1], headers=[*sent]
                )
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush(60)


def child(told: dict[str, Any]) -> None:
    """Consume the backlog; print one JSON line."""
    overrides = told.get("overrides", {})
    settings = KafkaSettings(bootstrap_servers=told["bootstrap"], client_overrides=overrides)
    clients = KafkaClients(settings, client_id="bench")
    aws, bucket = AwsClients(AwsSettings.model_validate(told["aws"])), told["bucket"]
    store = ObjectStore(aws.client("s3"), bucket) if told["kind"] == "bare" else ObjectStore.writing(aws, bucket)
    before = resource.getrusage(resource.RUSAGE_SELF)
    if told["kind"] != "bare":  # as `feed run consumer` does
        settle_memory()
    took = runtime(clients, store, told) if told["kind"] in {"archive", "audit"} else bare(clients, store, told)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "rate": told["records"] / took, "peak": peak_mb()}), flush=True)
    os._exit(0)  # the figures are taken; nothing of this process is needed any more


def peak_mb() -> float:
    """Highest resident memory of this process (``ru_maxrss`` would begin with that of the parent)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def bare(clients: KafkaClients, store: ObjectStore, told: dict[str, Any]) -> float:
    """The raw limit."""
    import pyarrow as pa  # noqa: PLC0415 - `consumers` says which allocator it takes, and must be first
    import pyarrow.parquet as pq  # noqa: PLC0415

    client = clients.group_consumer(told["group"])
    client.assign([TopicPartition(told["topic"], number, 0) for number in range(told["partitions"])])
    held: dict[int, list[Any]] = defaultdict(list)
    done, files, began = 0, 0, 0.0
    while done < told["records"]:
        for message in client.consume(500, 0.1):
            if message.error() is None:
                began = began or time.perf_counter()
                if told["kind"] == "bare":
                    held[message.partition()].append(message)
                done += 1
        full = [number for number, messages in held.items() if len(messages) >= BARE_FILE_RECORDS]
        for number in full if done < told["records"] else list(held):
            messages = held.pop(number)
            table = pa.table(
                {
                    "offset": [message.offset() for message in messages],
                    "timestamp": [message.timestamp()[1] for message in messages],
                    "key": [message.key() for message in messages],
                    "value": [message.value() for message in messages],
                    "headers": [message.headers() or [] for message in messages],
                }
            )
            out = io.BytesIO()
            pq.write_table(table, out, compression="zstd")
            store.put_create_only(f"bare/{told['group']}/{files}", out.getvalue())
            files += 1
    return time.perf_counter() - began


def runtime(clients: KafkaClients, store: ObjectStore, told: dict[str, Any]) -> float:
    """The consumer as it runs in production."""
    telemetry, stop, settings = Telemetry("bench"), threading.Event(), RuntimeSettings(prefetch_records=RAW_PREFETCH)
    now_ms = lambda: time.time_ns() // 1_000_000  # noqa: E731 - a clock
    sink: Any
    if told["kind"] == "archive":
        archive = ArchiveSettings(bucket=told["bucket"], prefix=told["group"])
        sink = ArchiveSink(store, archive, registry=telemetry.registry, now_ms=now_ms)
    else:
        audit = AuditSettings(bucket=told["bucket"], prefix=told["group"], retention_days=1)
        sink = AuditSink(store, audit, registry=telemetry.registry, now_ms=now_ms)
    running = consumer(
        sink,
        topic=told["topic"],
        group=told["group"],
        broker=KafkaBroker(clients, settings),
        decode=lambda _: None,  # type: ignore[arg-type, return-value]  # raw sinks decode a record in 100 ms only
        time_of=lambda _: None,
        settings=settings,
        telemetry=telemetry,
        stop=stop,
    )
    took: list[float] = []
    name = f"feed_sink_{told['kind']}_records_total"

    def stored() -> float:
        return telemetry.registry.get_sample_value(name) or 0.0

    def watch() -> None:
        while not _taken(telemetry):
            time.sleep(0.002)
        began = time.perf_counter()
        while _taken(telemetry) < told["records"]:
            time.sleep(0.01)
        stop.set()
        took.append(began)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    running.run_forever()  # ends with a flush: what was taken is stored
    watcher.join()
    assert stored() == told["records"], (stored(), told["records"])
    return time.perf_counter() - took[0]


def _taken(telemetry: Telemetry) -> float:
    """Of that metric only: collecting all of them again and again took a second of CPU."""
    name = "feed_consumer_records_total"
    metrics = telemetry.registry.restricted_registry([name]).collect()
    return sum(sample.value for metric in metrics for sample in metric.samples if sample.name == name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--headers", type=int, nargs="+", default=[13], choices=(0, 13))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        guardian = Guardian()
        site = Site(Path(folder) / "state", Path(folder) / "logs", guardian, LocalSettings(), disposable=True)
        site.state_dir.mkdir()
        broker = Broker("solo", site, java=require_java(install=False), jars=kafka_jars(site.settings))
        s3 = S3Server(site)
        try:
            for part in (broker, s3):
                part.start()
                part.wait_ready()
            for headers in given.headers:
                for partitions in given.partitions:
                    measure(broker, s3, given, partitions=partitions, headers=headers)
        finally:
            s3.finish()
            broker.finish()
            guardian.close()


def measure(broker: Broker, s3: S3Server, given: argparse.Namespace, *, partitions: int, headers: int) -> None:
    """All kinds in turns on one topic."""
    aws = {
        "region": "eu-west-1",
        "endpoints": {"s3": s3.endpoint},
        "access_key_id": s3.access_key_id,
        "secret_access_key": s3.secret_access_key,
    }
    clients = KafkaClients(KafkaSettings(bootstrap_servers=broker.bootstrap), client_id="bench")
    topic = f"bench-{partitions}-{headers}"
    # events of long ago: a broker would delete them by their time
    create_topics(broker.bootstrap, {topic: partitions}, settings={"retention.ms": "-1"})
    fill(clients, topic, partitions, given.records, headers=headers > 0)
    ensure_bucket(
        AwsClients(AwsSettings.model_validate(aws)).client("s3"), BucketSpec(topic, "eu-west-1", object_lock=True)
    )
    for turn in range(given.rounds):
        for kind in given.kinds:
            told = {
                "kind": kind,
                "bootstrap": broker.bootstrap,
                "aws": aws,
                "bucket": topic,
                "topic": topic,
                "group": f"{topic}-{kind}-{turn}",
                "partitions": partitions,
                "records": given.records,
            }
            program = [sys.executable, "-m", "benchmarks.sinks.from_topic", "--child", json.dumps(told)]
            ran = subprocess.run(program, capture_output=True, text=True, timeout=280, check=False)
            if ran.returncode:
                raise SystemExit(ran.stderr[-3000:])
            said = json.loads(ran.stdout.splitlines()[-1])
            print(
                f"{partitions:3} partitions {headers:3} headers  {kind:8} {said['cpu']:6.2f} CPU s "
                f"{said['rate']:9,.0f}/s  peak {said['peak']:4.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(json.loads(sys.argv[2]))
    else:
        main()
