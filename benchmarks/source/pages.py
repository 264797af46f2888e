"""From stream pages to a committed topic, one process: the producer against a day-one loop, same pages, same broker.

``python benchmarks/source/pages.py [--records 100000] [--shards 4]`` starts a broker of its own. The pages are
ready-made GetRecords answers in memory, so that no server is the limit; both sides parse them. The day-one loop is what
a tutorial ends with: botocore's parser, TypeDeserializer, JSON, produce, flush and a checkpoint for each page, without
a transaction.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import botocore.parsers
import botocore.session
import orjson
from boto3.dynamodb.types import TypeDeserializer

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb_streams import IteratorSpec, Listing, Page, Shard, StreamStatus
from connectors.dynamodb_streams.records import parse_body
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from feed.local import Stack, StackPlan
from feed.testing import create_topics
from producers.stream import FeedSource, ProducerSettings, Worker
from schemas import bundled
from schemas.codec import ChangeCodec

ARN = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"
PAGE = 1_000
FIRST = 10**22


def bodies(shard: int, records: int) -> list[bytes]:
    """GetRecords answers of about 390 bytes a record: inserts of small orders."""
    pages = []
    for start in range(0, records, PAGE):
        found = []
        for number in range(start, min(records, start + PAGE)):
            order = f"o-{shard}-{number % 5_000}"
            image = {
                "orderId": {"S": order},
                "status": {"S": "created"},
                "revision": {"N": "1"},
                "customerId": {"S": "c-1"},
                "currency": {"S": "EUR"},
                "total": {"N": "12.5"},
                "lines": {"L": []},
                "createdAt": {"N": "1700000000123"},
                "updatedAt": {"N": "1700000000123"},
            }
            data = {"ApproximateCreationDateTime": 1_700_000_000, "Keys": {"orderId": {"S": order}}, "NewImage": image}
            data |= {"SequenceNumber": str(FIRST + number), "SizeBytes": 200, "StreamViewType": "NEW_AND_OLD_IMAGES"}
            found.append({"eventID": str(number), "eventName": "INSERT", "awsRegion": "eu-west-1", "dynamodb": data})
        pages.append(orjson.dumps({"Records": found, "NextShardIterator": "more"}))
    return pages


class ReadyPages:
    """The port ``Stream`` over ready-made answers."""

    def __init__(self, pages: list[list[bytes]]) -> None:
        self.pages = {f"shardId-{number:020d}-{number:08x}": own for number, own in enumerate(pages)}

    def status(self, _: str) -> StreamStatus:
        return StreamStatus(ARN, enabled=True)

    def list_shards(self, stream: str) -> Listing:
        return Listing(stream, {name: Shard(name) for name in self.pages}, complete=True, at_ms=time.time_ns() // 10**6)

    def children(self, stream: str, _: str) -> Listing:
        return Listing(stream, {}, complete=False, at_ms=0)

    def iterator(self, _: str, shard: str, spec: IteratorSpec) -> str:
        read = 0 if spec.sequence is None else spec.sequence - FIRST + 1
        return f"{shard}/{read // PAGE}"

    def records(self, token: str, _: int) -> Page:
        shard, _, number = token.partition("/")
        own = self.pages[shard]
        if int(number) >= len(own):
            return Page([], token, 30)
        body = own[int(number)]
        return Page(parse_body(body)["Records"], f"{shard}/{int(number) + 1}", len(body))


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def told(name: str, records: int, seconds: float, cpu: float) -> None:
    print(f"{name:12} {records / seconds:8,.0f} records/s {cpu / records * 1e6:6.1f} ms CPU per 1,000")


def run_producer(kafka: KafkaClients, stream: ReadyPages, records: int) -> None:
    telemetry, stop = Telemetry("benchmark"), threading.Event()
    settings = AwsSettings(region="eu-west-1", access_key_id="a", secret_access_key="b")  # type: ignore[arg-type]
    worker = Worker(
        FeedSource("orders", "orders", "eu-west-1", time_attribute="updatedAt"),
        ProducerSettings(),
        kafka=kafka,
        aws=AwsClients(settings),
        codec=ChangeCodec.for_image(bundled.load("order")),
        telemetry=telemetry,
        stop=stop,
        stream=stream,
    )
    thread = threading.Thread(target=worker.run_forever)
    thread.start()

    def committed() -> float:
        families = [family for family in telemetry.registry.collect() if family.name == "feed_producer_records"]
        return sum(s.value for family in families for s in family.samples if s.name.endswith("_total"))

    while not (first := committed()):
        time.sleep(0.005)
    begun, used = time.perf_counter(), cpu_s()
    while committed() < records:
        time.sleep(0.005)
    told("producer", int(records - first), time.perf_counter() - begun, cpu_s() - used)
    stop.set()
    thread.join()


def run_day_one(kafka: KafkaClients, stream: ReadyPages, checkpoint: Path) -> None:
    model = botocore.session.get_session().get_service_model("dynamodbstreams")
    shape = model.operation_model("GetRecords").output_shape
    parser = botocore.parsers.create_parser(model.resolved_protocol)
    producer, plain = kafka.producer(), TypeDeserializer()
    begun, used, records = time.perf_counter(), cpu_s(), 0

    def default(value: Any) -> str:
        return str(value) if isinstance(value, Decimal) else value.isoformat()

    for shard, own in stream.pages.items():
        for body in own:
            answer = parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)
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
    told("day-one loop", records, time.perf_counter() - begun, cpu_s() - used)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=100_000)
    options.add_argument("--shards", type=int, default=4)
    given = options.parse_args()
    stream = ReadyPages([bodies(shard, given.records // given.shards) for shard in range(given.shards)])
    size = sum(len(body) for own in stream.pages.values() for body in own)
    print(f"{given.records} records of {size // given.records} bytes in {given.shards} shards")
    plan = StackPlan(regions=("eu",), mirrors=False, object_store=False, ministack=False, dynamodb=False)
    with Stack(plan) as stack:
        stack.start()
        kafka = KafkaClients(KafkaSettings(bootstrap_servers=stack.bootstrap("eu")), client_id="benchmark")
        create_topics(
            stack.bootstrap("eu"),
            {"orders": 4, "orders.control": 1, "orders.dead-letter": 1, "orders.snapshot": 1, "day-one": 4},
        )
        create_topics(stack.bootstrap("eu"), {"orders.positions": 8}, settings={"cleanup.policy": "compact"})
        run_day_one(kafka, stream, stack.site.state_of("checkpoint") / "checkpoint.json")
        run_producer(kafka, stream, given.records)


if __name__ == "__main__":
    main()
