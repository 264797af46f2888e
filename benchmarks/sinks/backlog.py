"""CPU, rate and memory of the audit and archive sinks on a backlog of small changes, without Kafka and without S3.

    python -m benchmarks.sinks.backlog archive --partitions 8 --records 1000000
    python -m benchmarks.sinks.backlog audit --partitions 64
    python -m benchmarks.sinks.backlog verify

What making the records costs is measured first and taken off. The store takes objects and forgets them (``verify``
keeps them, and measures hashing, the chain and the ordinals afterwards).
"""

# ruff: noqa: ARG002 - the bucket's stand-in has the signatures of the real one

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.s3 import ObjectHead, ObjectStore, PutOutcome, StoredObject, Version
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink, OrdinalLedger, verify_chain
from consumers.runtime.contracts import Partition

START_MS = 1_764_000_000_000
RECORDS_A_MINUTE = 24_000
FETCH = 500
SHARD = b"shardId-00000001691234567890-abcdef"
FIXED = [
    ("ce_specversion", b"1.0"),
    ("ce_source", b"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T00:00:00.000"),
    ("ce_type", b"changefeed.change.u"),
    ("ce_time", b"2026-11-24T10:00:00Z"),
    ("ce_subject", b"o-123456"),
    ("ce_partitionkey", b"o-123456"),
    ("ce_shard", SHARD),
    ("ce_epoch", b"1"),
    ("ce_capturedtime", b"2026-11-24T10:00:00.123Z"),
    ("content-type", b"application/avro"),
]


class Made:
    """A record with a value of 115 bytes and the headers of a change."""

    __slots__ = ("_number", "_offset", "_partition", "_time_ms")

    def __init__(self, number: int, partition: int, offset: int, time_ms: int) -> None:
        self._number, self._partition, self._offset, self._time_ms = number, partition, offset, time_ms

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"o-%d" % (self._number % 1000)

    def value(self) -> bytes:
        return b"%0115d" % self._number

    def headers(self) -> list[tuple[str, bytes]]:
        number = self._number
        return [
            *FIXED,
            ("ce_id", b"%s:%040d" % (SHARD, number)),
            ("ce_sequence", b"%040d" % number),
            ("ce_ordinal", b"%d" % number),
        ]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._time_ms


class Bucket(ObjectStore):
    """Takes objects; keeps them when told to."""

    def __init__(self, *, keep: bool) -> None:
        self.bucket = "benchmark"
        self.keep = keep
        self.kept: dict[str, StoredObject] = {}
        self.puts = self.size = 0

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "",
    ) -> PutOutcome:
        self.puts += 1
        self.size += len(body)
        if self.keep:
            head = ObjectHead(key, len(body), datetime.now(UTC), {}, retain_until, "COMPLIANCE", "1")
            self.kept[key] = StoredObject(head, body)
        return PutOutcome.CREATED

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        return iter(())

    def get(self, key: str, *, version_id: str = "") -> StoredObject | None:
        return self.kept.get(key)

    def head(self, key: str, *, version_id: str = "") -> ObjectHead | None:
        return None

    def versions(self, prefix: str, *, start_after: str = "") -> Iterator[Version]:
        for key, stored in self.kept.items():
            if key.startswith(prefix) and key > start_after:
                yield Version(key, "1", True, False, stored.head.size, stored.head.modified_at)


def fetches(partitions: int, records: int) -> Iterator[tuple[int, list[Made]]]:
    """Batches as ``consume`` hands them out: some partitions in each, offsets ascending."""
    share = max(1, FETCH // min(partitions, 8))
    number, offsets, partition = 0, [0] * partitions, 0
    while number < records:
        start = offsets[partition]
        yield (
            partition,
            [
                Made(number + n, partition, start + n, START_MS + (number + n) * 60_000 // RECORDS_A_MINUTE)
                for n in range(share)
            ],
        )
        offsets[partition] += share
        number += share
        partition = (partition + 1) % partitions


def made_for_nothing(partitions: int, records: int) -> float:
    """CPU seconds of making the records and answering each question once."""
    start = time.process_time()
    for _, batch in fetches(partitions, records):
        for record in batch:
            record.key(), record.value(), record.headers(), record.timestamp(), record.offset()
    return time.process_time() - start


def sink_of(kind: str, bucket: Bucket) -> Any:
    """The sink by its name."""
    if kind == "archive":
        settings = ArchiveSettings(bucket="benchmark")
        return ArchiveSink(bucket, settings, registry=CollectorRegistry(), now_ms=lambda: START_MS)
    return AuditSink(bucket, AuditSettings(bucket="benchmark"), registry=CollectorRegistry(), now_ms=lambda: START_MS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("archive", "audit", "verify"))
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--records", type=int, default=1_000_000)
    given = parser.parse_args()
    making = made_for_nothing(given.partitions, given.records)
    bucket = Bucket(keep=given.what == "verify")
    sink = sink_of(given.what, bucket)
    where = [Partition("cluster", "topic", "orders", number) for number in range(given.partitions)]
    writers = [sink.open(partition, 0)[1] for partition in where]
    started, cpu = time.perf_counter(), time.process_time()
    for partition, batch in fetches(given.partitions, given.records):
        writers[partition].add(batch)
    for writer in writers:
        writer.flush()
    cpu, elapsed = time.process_time() - cpu - making, time.perf_counter() - started
    sink.executor.shutdown()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{given.what}: {given.records} records, {given.partitions} partitions: {cpu:.2f} CPU s "
        f"({cpu / given.records * 1e6:.1f} us a record), {given.records / elapsed:.0f}/s with their making "
        f"({making:.1f} CPU s), {bucket.puts} objects, {bucket.size / given.records:.0f} bytes a record, "
        f"peak {peak:.0f} MB"
    )
    if given.what == "verify":
        ledger, cpu = OrdinalLedger(), time.process_time()
        reports = [
            verify_chain(bucket, "audit", at, ledger=ledger, now=datetime(2020, 1, 1, tzinfo=UTC)) for at in where
        ]
        cpu = time.process_time() - cpu
        assert all(report.valid for report in reports)
        assert not ledger.missing()
        print(f"verify: {cpu:.2f} CPU s, {ledger.total() / cpu:.0f} records/s a core")


if __name__ == "__main__":
    main()
