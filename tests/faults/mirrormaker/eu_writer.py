"""Writes into the eu topic as the producer does: a transaction every 100 ms. ``python -m … '<json>'``.

It ends when its standard input does, and prints how many records it committed to each partition, with a digest of them
in their order.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import KafkaError, Message

from connectors.kafka import KafkaClients, KafkaSettings
from tests.faults.mirrormaker.chain import NUMBER, PRODUCED, Chains

COMMIT_EVERY_S = 0.1
CALL_WITHIN_S = 30.0
KEYS = 4_000
SHARDS = 8
FILLING = json.dumps({"lines": [{"sku": f"SKU-{n:05d}", "quantity": n % 4, "price": f"{n * 7}.99"} for n in range(12)]})


class Record(NamedTuple):
    """What is written."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def main() -> None:
    """Write at a steady rate until told to stop."""
    given = json.loads(sys.argv[1])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    clients = KafkaClients(KafkaSettings(bootstrap_servers=given["bootstrap"]), client_id="campaign-writer")
    producer = clients.transactional_producer("campaign-writer", transaction_timeout_ms=60_000)
    producer.init_transactions(CALL_WITHIN_S)
    chains, number = Chains(), 0
    began = time.monotonic()
    while not stop.is_set():
        turn = time.monotonic()
        placed: list[tuple[int, Record]] = []
        producer.begin_transaction()
        due = int((turn - began + COMMIT_EVERY_S) * given["rate"])
        while number < due:
            # the pace within a transaction: changes come one by one
            time.sleep(max(0.0, began + number / given["rate"] - time.monotonic()))
            record = _record(number)
            producer.produce(
                given["topic"], record.value, record.key, headers=record.headers, on_delivery=_note(placed, record)
            )
            number += 1
            producer.poll(0)
        producer.commit_transaction(CALL_WITHIN_S)  # an error ends the writer, and with it the campaign
        for partition, record in placed:
            chains.add(partition, record.key, record.value, record.headers)
    sys.stdout.write(json.dumps(chains.summary()))


def _record(number: int) -> Record:
    value = json.dumps({"number": number, "text": FILLING}).encode()
    headers = [*_change_headers(number), (NUMBER, b"%d" % number), (PRODUCED, b"%d" % time.time_ns())]
    return Record(b"o-%d" % (number * 7919 % KEYS), value, headers)


def _change_headers(number: int) -> list[tuple[str, bytes]]:
    """Those of a change, of one of eight shards with dense ordinals: the audit follows them."""
    shard, ordinal, now = number % SHARDS, number // SHARDS, datetime.now(UTC).isoformat(timespec="milliseconds")
    facts = {
        "ce_specversion": "1.0",
        "ce_id": f"shardId-{shard}:{ordinal}",
        "ce_source": "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T10:00:00.000",
        "ce_type": "changefeed.change.u",
        "ce_time": now,
        "ce_subject": f"o-{number * 7919 % KEYS}",
        "ce_sequence": f"{number:040d}",
        "ce_shard": f"shardId-{shard}",
        "ce_ordinal": str(ordinal),
        "ce_epoch": "1",
        "ce_capturedtime": now,
    }
    return [(name, text.encode()) for name, text in facts.items()]


def _note(placed: list[tuple[int, Record]], record: Record) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        placed.append((message.partition() or 0, record))

    return delivered


if __name__ == "__main__":
    main()
