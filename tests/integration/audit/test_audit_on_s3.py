"""The audit log on the real S3 server: written, locked, tampered with, verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.audit import AuditSettings, AuditSink, OrdinalLedger, partitions_in, read_chain, verify_chain
from feed.local import ObjectStore as S3Server
from tests.unit.feed_records import PARTITION, record

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.integration


@dataclass
class Log:
    """An audit log with five segments of ten records, and an attacker's view of it."""

    s3: S3Client
    store: ObjectStore
    names: list[str]

    def findings(self) -> list[tuple[str, str]]:
        """Status and first offset of every fault found."""
        report = verify_chain(self.store, "audit", PARTITION, ledger=OrdinalLedger(), now=datetime.now(UTC))
        return [(str(finding.status), str(int(finding.name[-28:-8]))) for finding in report.findings]

    def body(self, position: int) -> bytes:
        """The bytes of a segment."""
        stored = self.store.get(self.names[position])
        assert stored is not None
        return stored.body

    def remake(self, bodies: dict[str, bytes]) -> None:
        """A bucket in which an attacker wrote what he liked: locked like a real one, since he may do that as well."""
        bucket = f"{self.store.bucket}-copy"
        ensure_bucket(self.s3, BucketSpec(bucket, "eu-west-1", object_lock=True))
        self.store = ObjectStore(self.s3, bucket)
        until = datetime.now(UTC) + timedelta(hours=1)
        for name, body in bodies.items():
            metadata = {"sha256": hashlib.sha256(body).hexdigest()}
            self.store.put_create_only(name, body, metadata, retain_until=until)


@pytest.fixture
def log(s3_server: S3Server, unique_name: Callable[[str], str]) -> Log:
    """The log, as the sink writes it."""
    settings = {
        "region": "eu-west-1",
        "endpoints": {"s3": s3_server.endpoint},
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }
    s3 = AwsClients(AwsSettings.model_validate(settings)).client("s3")
    bucket = unique_name("audit")
    ensure_bucket(s3, BucketSpec(bucket, "eu-west-1", object_lock=True))
    store = ObjectStore(s3, bucket)
    sink = AuditSink(
        store,
        AuditSettings(bucket=bucket, retention_days=1),
        registry=CollectorRegistry(),
        now_ms=lambda: int(datetime.now(UTC).timestamp() * 1000),
    )
    _, writer = sink.open(PARTITION, 0)
    for start in range(0, 50, 10):
        writer.add([record(offset) for offset in range(start, start + 10)])
        writer.flush()
    sink.executor.shutdown()
    return Log(s3, store, sorted(head.key for head in store.list("audit/")))


def test_a_log_verifies_and_reads_back(log: Log) -> None:
    """An untouched log has no fault, is found by its partition, and gives back every record."""
    ledger = OrdinalLedger()
    report = verify_chain(log.store, "audit", PARTITION, ledger=ledger, now=datetime.now(UTC))
    assert report.valid
    assert (report.segments, report.records, ledger.total(), ledger.missing()) == (5, 50, 50, {})
    assert partitions_in(log.store, "audit") == [PARTITION]
    assert list(read_chain(log.store, "audit", PARTITION)) == [record(offset) for offset in range(50)]
    assert [r.offset() for r in read_chain(log.store, "audit", PARTITION, first=15, last=31)] == list(range(15, 32))


def test_no_segment_can_be_deleted_or_unlocked(log: Log) -> None:
    """Deleting a locked version, shortening its lock and taking the lock off are refused by the server."""
    head = log.store.head(log.names[2])
    assert head is not None
    where = {"Bucket": log.store.bucket, "Key": log.names[2], "VersionId": head.version_id}
    with pytest.raises(ClientError):
        log.s3.delete_object(**where)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    with pytest.raises(ClientError):
        log.s3.put_object_retention(**where, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon})
    with pytest.raises(ClientError):
        log.s3.put_object_retention(
            **where, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon}, BypassGovernanceRetention=True
        )
    assert log.findings() == []


def test_a_delete_marker_is_found(log: Log) -> None:
    """A segment that is hidden by a delete marker is reported, and is verified all the same."""
    log.s3.delete_object(Bucket=log.store.bucket, Key=log.names[2])
    assert log.findings() == [("hidden", "20")]


def test_a_version_on_top_is_found(log: Log) -> None:
    """A PUT without a condition makes a second version: reported, and the first is the one that counts."""
    log.s3.put_object(Bucket=log.store.bucket, Key=log.names[2], Body=b"another story")
    assert log.findings() == [("hidden", "20")]


def test_an_unlocked_segment_is_found(log: Log) -> None:
    """A segment that was written without a lock is reported."""
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    last = log.names[-1]
    body = bodies.pop(last)
    log.remake(bodies)
    log.s3.put_object(Bucket=log.store.bucket, Key=last, Body=body)
    assert log.findings() == [("unlocked", "40")]


def test_a_changed_byte_is_found(log: Log) -> None:
    """One flipped byte in a segment breaks the word of its successor."""
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    changed = bytearray(bodies[log.names[1]])
    changed[len(changed) // 3] ^= 1
    log.remake(bodies | {log.names[1]: bytes(changed)})
    assert ("invalid", "10") in log.findings()


def test_appended_bytes_are_told_apart(log: Log) -> None:
    """Bytes behind a genuine segment are trailing data."""
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    log.remake(bodies | {log.names[1]: bodies[log.names[1]] + b"more"})
    assert log.findings() == [("trailing data", "10")]


def test_a_cut_segment_is_told_apart(log: Log) -> None:
    """A segment shorter than its successor says is truncated."""
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    log.remake(bodies | {log.names[1]: bodies[log.names[1]][:-100]})
    assert log.findings() == [("truncated", "10")]


def test_a_missing_segment_is_found(log: Log) -> None:
    """A segment that is not there is missed by the number of the next, and by its ordinals."""
    log.remake({name: log.body(position) for position, name in enumerate(log.names) if position != 2})
    ledger = OrdinalLedger()
    report = verify_chain(log.store, "audit", PARTITION, ledger=ledger, now=datetime.now(UTC))
    assert [(str(f.status), f.name) for f in report.findings] == [("missing", log.names[3])]
    assert ledger.missing() == {"shardId-1": [(20, 29)]}


def test_a_moved_segment_is_found(log: Log) -> None:
    """A genuine segment under another name is reported as moved."""
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    elsewhere = log.names[2].replace(f"{20:020d}", f"{60:020d}")
    bodies[elsewhere] = bodies[log.names[2]]
    log.remake(bodies)
    assert log.findings() == [("moved", "60")]


def test_a_forked_chain_is_found(log: Log) -> None:
    """A second segment that claims a place in the chain that is taken is a fork."""
    _, fork = _fork_after(log, head_position=2)
    bodies = {name: log.body(position) for position, name in enumerate(log.names)}
    log.remake(bodies | fork)
    assert log.findings() == [("forked", "45")]


def _fork_after(log: Log, head_position: int) -> tuple[str, dict[str, bytes]]:
    """A well-formed segment that continues the chain after a segment that has a successor already."""
    from consumers.audit.segments import build, folder_of, name_of, read  # noqa: PLC0415 - only the attacker does this
    from consumers.columns import RecordColumns  # noqa: PLC0415

    stored = log.store.get(log.names[head_position])
    assert stored is not None
    columns = RecordColumns()
    columns.extend([record(offset) for offset in range(45, 50)])
    body, _ = build(PARTITION, read(stored)[0], columns.table())
    name = name_of(folder_of("audit", PARTITION), 45)
    return name, {name: body}
