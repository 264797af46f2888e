"""Taking a slot after millions of position updates: compaction, and what is left to read.

``python benchmarks/source/takeover.py [--updates 10000000] [--shards 400]`` writes positions as workers do, into a
topic with the settings of ``feed topics``, and takes every slot: right away, and once compaction is through.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from confluent_kafka import Producer

from connectors.kafka import KafkaClients, KafkaSettings
from feed.local import Stack, StackPlan
from feed.testing import create_topics
from producers.stream import ProducerSettings
from producers.stream.kafka_log import KafkaLog
from schemas.position import Position, ShardState

SLOTS = 8
POSITIONS_SETTINGS = {
    "cleanup.policy": "compact",
    "segment.bytes": str(1024 * 1024),
    "segment.ms": str(10 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.1",
}
"""As :func:`feed.config.topics.topic_specs` sets them."""

STREAM = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-01T00:00:00.001"


def update(bootstrap: str, shards: int, updates: int) -> float:
    """Positions of so many shards, each moved on again and again; seconds taken."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "zstd", "log_level": 0}
        | {"queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 512 * 1024}
    )
    names = [f"shardId-{number:020d}-{number:08x}" for number in range(shards)]
    slots = [zlib.crc32(name.encode()) % SLOTS for name in names]
    texts = [Position(n, STREAM, ShardState.READING, 10**22, 7, parent=names[0], at_ms=10**12) for n in names]
    heads = [position.to_json().replace(b"10000000000000000000000", b"%d") for position in texts]
    begun, number = time.monotonic(), 10**22
    for done in range(updates):
        own = done % shards
        number += 1
        while True:
            try:
                producer.produce("orders.positions", heads[own] % number, names[own], slots[own])
                break
            except BufferError:
                producer.poll(0.1)
        if done % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return time.monotonic() - begun


def take(kafka: KafkaClients) -> None:
    """Every slot once, one after the other."""
    log = KafkaLog(kafka, "orders", ProducerSettings())
    times, found = [], 0
    for slot in range(SLOTS):
        begun = time.monotonic()
        owner = log.take(slot)
        entries = log.read_back(slot)
        times.append(time.monotonic() - begun)
        found += len(entries)
        owner.close()
    told = ", ".join(f"{seconds:.2f}" for seconds in times)
    print(f"slots taken one by one in {told} s; {found} positions", flush=True)


def size_mib(folder: Path) -> float:
    files = [file for part in folder.glob("orders.positions-*") for file in part.glob("*.log")]
    return sum(file.stat().st_size for file in files) / 2**20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--updates", type=int, default=10_000_000)
    options.add_argument("--shards", type=int, default=400)
    given = options.parse_args()
    plan = StackPlan(regions=("eu",), mirrors=False, object_store=False, ministack=False, dynamodb=False)
    with Stack(plan) as stack:
        stack.start()
        kafka = KafkaClients(KafkaSettings(bootstrap_servers=stack.bootstrap("eu")), client_id="benchmark")
        create_topics(stack.bootstrap("eu"), {"orders": 1, "orders.control": 1, "orders.dead-letter": 1})
        compacted = {"orders.positions": SLOTS, "orders.snapshot": 1}
        create_topics(stack.bootstrap("eu"), compacted, settings=POSITIONS_SETTINGS)
        folder = stack.site.state_of("kafka-eu") / "data"
        take(kafka)
        seconds = update(stack.bootstrap("eu"), given.shards, given.updates)
        print(f"{given.updates} updates of {given.shards} shards in {seconds:.0f} s, {size_mib(folder):.0f} MiB of log")
        take(kafka)
        before = -1.0
        while (now := size_mib(folder)) != before:  # until compaction changes nothing any more
            before = now
            time.sleep(25)
        print(f"compacted to {now:.0f} MiB")
        take(kafka)


if __name__ == "__main__":
    main()
