"""The audit log's chain on a core: hashing, writing and verifying segments of real orders, without Kafka and S3.

    python -m benchmarks.sinks.chain

Segments of 250 changes are those of 5 s at 400 changes a second over 8 partitions; of 3,000 those of a backlog. What it
*hashes* is SHA-256 of the files alone: the raw limit of a chain.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from datetime import UTC, datetime, timedelta

from benchmarks.schemas.orders import change_of, stream_records
from benchmarks.sinks.backlog import Bucket
from consumers.audit import OrdinalLedger, verify_chain
from consumers.audit.segments import build, folder_of, name_of
from consumers.columns import RecordColumns, StoredRecord
from consumers.runtime.contracts import Partition
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from schemas.key import key_bytes

AT = Partition("cluster", "topic", "orders", 0)
ROUNDS = 5


def records(count: int) -> list[StoredRecord]:
    """Changes of orders as the producer writes them."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    made = []
    for number, raw in enumerate(stream_records(count)):
        change = change_of(codec, raw, number)
        key, value, headers = key_bytes(change.key), codec.encode(change), headers_of(change)
        made.append(StoredRecord("orders", 0, number, key, value, headers, 1, change.occurred_at_ms))
    return made


def measure(changes: list[StoredRecord], size: int) -> None:
    """Build, hash and verify segments of ``size`` records."""
    tables = []
    for start in range(0, len(changes), size):
        columns = RecordColumns()
        columns.extend(changes[start : start + size])
        tables.append(columns.table())
    bucket, until, head = Bucket(keep=True), datetime.now(UTC) + timedelta(days=1), None
    begun = time.process_time()
    bodies = []
    for table in tables:
        body, head = build(AT, head, table)
        bodies.append((name_of(folder_of("audit", AT), head.first), body))
    built = len(changes) / (time.process_time() - begun)
    begun = time.process_time()
    for _ in range(ROUNDS):
        for _, body in bodies:
            hashlib.sha256(body).hexdigest()
    hashed = ROUNDS * len(changes) / (time.process_time() - begun)
    for name, body in bodies:
        bucket.put_create_only(name, body, retain_until=until)
    begun = time.process_time()
    for _ in range(ROUNDS):
        ledger = OrdinalLedger()
        report = verify_chain(bucket, "audit", AT, ledger=ledger, now=datetime.now(UTC))
        assert report.valid
        assert ledger.total() == len(changes)
    verified = ROUNDS * len(changes) / (time.process_time() - begun)
    print(
        f"{size:5} changes a segment: {bucket.size / len(changes):4.0f} bytes a change; a core writes {built:9,.0f}/s, "
        f"hashes {hashed:12,.0f}/s, verifies {verified:11,.0f}/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=24_000)
    changes = records(parser.parse_args().records)
    for size in (250, 3_000):
        measure(changes, size)


if __name__ == "__main__":
    main()
