"""Who reads a stream and publishes it, each as a process of its own: its rate and its CPU go to standard output.

``python benchmarks/source/contenders.py producer|day-one|raw '{"endpoint": …, "bootstrap": …, "table": …, …}'``

* ``producer``: a whole worker, exactly once: measured from its first commit to its last.
* ``day-one``: what a tutorial ends with: boto3's GetRecords, TypeDeserializer, JSON, produce; flush and a checkpoint
  for each page, without a transaction.
* ``raw``: GetRecords and a JSON parser, and nothing is done with it: the server's and the wire's own limit.
* ``worker``: a worker until it is killed, for the other programs here.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from boto3.dynamodb.types import TypeDeserializer

from connectors.aws import AwsClients
from connectors.dynamodb_streams import IteratorSpec, StreamClient
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from feed.testing.tables import aws_settings
from producers.stream import FeedSource, ProducerSettings, Worker
from schemas import bundled
from schemas.change import Change, Image
from schemas.codec import ChangeCodec


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mib() -> float:
    with open("/proc/self/status") as status:  # noqa: PTH123 (a file of the kernel's)
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def told(records: int, seconds: float, cpu: float, **more: Any) -> None:
    rate, cost = records / seconds, cpu / records * 1e6
    print(json.dumps({"records": records, "per_s": rate, "cpu_ms_per_1000": cost, **more}), flush=True)


def clients(config: dict[str, Any]) -> tuple[AwsClients, KafkaClients]:
    kafka = KafkaClients(KafkaSettings(bootstrap_servers=config["bootstrap"]), client_id="benchmark")
    return AwsClients(aws_settings(config["endpoint"])), kafka


class PlainCodec:
    """For items that are no orders."""

    def encode(self, change: Change) -> bytes:
        return json.dumps(change.after).encode()

    def image_from_dynamodb(self, attributes: Mapping[str, Any]) -> Image:
        return attributes


def worker_of(config: dict[str, Any], telemetry: Telemetry, stop: threading.Event) -> Worker:
    aws, kafka = clients(config)
    return Worker(
        FeedSource(config["feed"], config["table"], "eu-west-1", time_attribute="updatedAt"),
        ProducerSettings(**config.get("settings", {})),
        kafka=kafka,
        aws=aws,
        codec=PlainCodec() if config.get("plain") else ChangeCodec.for_image(bundled.load("order")),
        telemetry=telemetry,
        stop=stop,
    )


def run_worker(config: dict[str, Any]) -> None:
    """A worker until it is killed."""
    worker_of(config, Telemetry("benchmark"), threading.Event()).run_forever()


def run_producer(config: dict[str, Any]) -> None:
    telemetry, stop = Telemetry("benchmark"), threading.Event()
    worker = worker_of(config, telemetry, stop)
    thread = threading.Thread(target=worker.run_forever)
    thread.start()

    def committed() -> int:
        families = [family for family in telemetry.registry.collect() if family.name == "feed_producer_records"]
        return int(sum(s.value for family in families for s in family.samples if s.name.endswith("_total")))

    while not (first := committed()):
        time.sleep(0.005)
    begun, used, records, memory = time.perf_counter(), cpu_s(), config["records"], [resident_mib()]
    step, next_at = records // 10, records // 10
    while (done := committed()) < records:
        time.sleep(0.1)  # asking costs what it measures
        if done >= next_at:
            next_at += step
            memory.append(resident_mib())
    told(records - first, time.perf_counter() - begun, cpu_s() - used, resident_mib=[round(mib) for mib in memory])
    stop.set()
    thread.join()


def pages(streams: Any, arn: str, table_pages: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers of GetRecords, shard by shard."""
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        name, left = shard["ShardId"], table_pages
        token = streams.get_shard_iterator(StreamArn=arn, ShardId=name, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while left:
            answer = streams.get_records(ShardIterator=token, Limit=1_000)
            if not answer["Records"]:
                break
            yield name, answer
            token = answer["NextShardIterator"]


def run_day_one(config: dict[str, Any]) -> None:
    aws, kafka = clients(config)
    streams, producer, plain = aws.client("dynamodbstreams"), kafka.producer(), TypeDeserializer()
    arn = aws.client("dynamodb").describe_table(TableName=config["table"])["Table"]["LatestStreamArn"]
    checkpoint = Path(tempfile.mkdtemp()) / "checkpoint.json"

    def default(value: Any) -> str:
        return str(value) if isinstance(value, Decimal) else value.isoformat()

    begun, used, records = time.perf_counter(), cpu_s(), 0
    for shard, answer in pages(streams, arn, 10**9):
        for record in answer["Records"]:
            image = {name: plain.deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()}
            event = {"op": record["eventName"], "after": image, "seq": record["dynamodb"]["SequenceNumber"]}
            while True:
                try:
                    producer.produce("day-one", json.dumps(event, default=default), image["orderId"])
                    break
                except BufferError:
                    producer.poll(0.1)
            records += 1
        producer.flush()
        checkpoint.write_text(json.dumps({shard: answer["Records"][-1]["dynamodb"]["SequenceNumber"]}))
        if records >= config["records"]:
            break
    told(records, time.perf_counter() - begun, cpu_s() - used)


def run_raw(config: dict[str, Any]) -> None:
    aws, _ = clients(config)
    client = StreamClient(aws, now_ms=lambda: 0)
    arn = client.status(config["table"]).arn
    begun, used, records, size = time.perf_counter(), cpu_s(), 0, 0
    for shard in client.list_shards(arn).shards:
        token: str | None = client.iterator(arn, shard, IteratorSpec("TRIM_HORIZON"))
        while token is not None:
            page = client.records(token, 1_000)
            records, size, token = records + len(page.records), size + page.bytes, page.next_token
            if not page.records or records >= config["records"]:
                break
    told(records, time.perf_counter() - begun, cpu_s() - used, bytes=size // records)


CONTENDERS = {"producer": run_producer, "day-one": run_day_one, "raw": run_raw, "worker": run_worker}

if __name__ == "__main__":
    CONTENDERS[sys.argv[1]](json.loads(sys.argv[2]))
