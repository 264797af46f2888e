"""A signed audit log on the real S3 server, and everything that someone with write rights could do to it.

The cases are those of CloudTrail's digest validation (deleted, gap, altered, moved, wrong key, no digests, metadata
missing, a second compressed member), and those that Object Lock, versions and Parquet add.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.s3 import BucketSpec, ObjectHead, ObjectStore, PutOutcome, StoredObject, ensure_bucket
from connectors.signing import FileSigner, create_key_file
from consumers.audit import AuditSettings, AuditSink, LogReport, Wanted, verify_log
from consumers.audit.segments import build, read
from consumers.columns import RecordColumns, partition_of_key
from feed.local import ObjectStore as S3Server
from tests.integration.audit.read_only import read_only
from tests.unit.feed_records import PARTITION, record
from tests.unit.memory_store import InlineExecutor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.integration

OTHER = replace(PARTITION, number=1)


def aws_of(server: S3Server, endpoint: str) -> AwsClients:
    """Clients of the server, straight or through a proxy."""
    settings = {
        "region": "eu-west-1",
        "endpoints": {"s3": endpoint},
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }
    return AwsClients(AwsSettings.model_validate(settings))


@dataclass
class Written:
    """A log as its sink wrote it: two partitions, eight segments, four digests."""

    s3: S3Client
    signer: FileSigner
    bodies: dict[str, bytes]
    metadata: dict[str, dict[str, str]]
    now_ms: int

    @property
    def segments(self) -> list[str]:
        """Of partition 0, by offset."""
        return sorted(name for name in self.bodies if name.startswith("audit/") and "/p00000/" in name)

    @property
    def digests(self) -> list[str]:
        """By number."""
        return sorted(name for name in self.bodies if name.startswith("audit-digests/"))


@pytest.fixture(scope="module")
def written(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The log, written to the server by the sink and read back once for all tests."""
    from feed.testing.names import unique_name as make  # noqa: PLC0415 - the fixture of this name is for one test

    s3 = aws_of(s3_server, s3_server.endpoint).client("s3")
    bucket, key = make("signed"), tmp_path_factory.mktemp("key") / "key.pem"
    create_key_file(key)
    ensure_bucket(s3, BucketSpec(bucket, "eu-west-1", object_lock=True))
    store, clock = ObjectStore(s3, bucket), [int(datetime.now(UTC).timestamp() * 1000)]
    sink = AuditSink(
        store,
        AuditSettings(bucket=bucket, retention_days=1),
        registry=CollectorRegistry(),
        now_ms=lambda: clock[0],
        executor=InlineExecutor(),
        signer=FileSigner(key),
    )
    writers = {partition: sink.open(partition, 0)[1] for partition in (PARTITION, OTHER)}
    for step in range(4):
        for partition, writer in writers.items():
            ordinals = range(20 * step + 10 * partition.number, 20 * step + 10 * partition.number + 10)
            writer.add([record(10 * step + n, ordinal=ordinal) for n, ordinal in enumerate(ordinals)])
            writer.flush()
        for _ in range(3):
            writers[PARTITION].tick(clock[0])
        clock[0] += 300_000
    names = [head.key for head in store.list("audit")]
    heads = {name: stored for name in names if (stored := store.get(name)) is not None}
    bodies = {name: stored.body for name, stored in heads.items()}
    metadata = {name: dict(stored.head.metadata) for name, stored in heads.items()}
    return Written(s3, FileSigner(key), bodies, metadata, clock[0])


@dataclass
class Copy:
    """A bucket in which an attacker put what he likes, locked like the real one, since he may do that as well."""

    written: Written
    store: ObjectStore
    bodies: dict[str, bytes]
    unlocked: set[str] = field(default_factory=set)
    keeps_metadata: bool = True

    def put(self) -> None:
        """Write it all."""
        until = datetime.now(UTC) + timedelta(hours=1)
        for name, body in self.bodies.items():
            metadata = self.written.metadata.get(name, {}) if self.keeps_metadata else {}
            lock = None if name in self.unlocked else until
            assert self.store.put_create_only(name, body, metadata, retain_until=lock) is PutOutcome.CREATED

    def verify(self, public_key: bytes | None = None) -> LogReport:
        """What a verification finds."""
        now = datetime.now(UTC)
        return verify_log(
            self.store, "audit", Wanted("orders", now, public_key or self.written.signer.public_key(), partitions=2)
        )

    def found(self) -> set[tuple[str, str]]:
        """Status and name's last part of every fault, once all is written."""
        self.put()
        return self.now_found()

    def now_found(self) -> set[tuple[str, str]]:
        """The same of what is there."""
        return {(str(f.status), f.name.rpartition("/")[2]) for f in self.verify().findings}

    def last(self, name: str) -> str:
        """A name's last part."""
        return name.rpartition("/")[2]


@pytest.fixture
def copy(written: Written, unique_name: Callable[[str], str]) -> Copy:
    """An empty bucket with Object Lock, and all that is to be written to it."""
    bucket = unique_name("copy")
    ensure_bucket(written.s3, BucketSpec(bucket, "eu-west-1", object_lock=True))
    return Copy(written, ObjectStore(written.s3, bucket), dict(written.bodies))


def test_an_untouched_copy_is_valid(copy: Copy) -> None:
    """Every segment, digest and ordinal, read back from the server."""
    copy.put()
    report = copy.verify()
    assert report.findings == []
    assert (sum(chain.records for chain in report.chains), report.digests, report.ordinals.changes) == (80, 4, 80)


def test_metadata_may_be_lost(copy: Copy) -> None:
    """CloudTrail's "metadata missing": nothing rests on an object's metadata, files and digests say it themselves."""
    copy.keeps_metadata = False
    assert copy.found() == set()


def test_an_altered_digest_is_found_on_s3(copy: Copy) -> None:
    """One digit of a time in a digest: its signature fails, and its follower names another."""
    name = copy.written.digests[1]
    told = json.loads(copy.bodies[name])
    told["message"] = told["message"].replace('"to_ms":1', '"to_ms":2', 1)
    copy.bodies[name] = json.dumps(told).encode()
    assert ("invalid", copy.last(name)) in copy.found()


def test_a_deleted_digest_is_found_on_s3(copy: Copy) -> None:
    """A number without its digest."""
    del copy.bodies[copy.written.digests[1]]
    assert copy.found() == {("missing", copy.last(copy.written.digests[2]))}


def test_a_moved_digest_is_found_on_s3(copy: Copy) -> None:
    """A genuine digest under another number."""
    names = copy.written.digests
    elsewhere = names[-1].replace("0000000003", "0000000004")
    copy.bodies[elsewhere] = copy.bodies[names[0]]
    assert copy.found() == {("moved", copy.last(elsewhere))}


def test_another_key_is_found_on_s3(copy: Copy, tmp_path: Path) -> None:
    """Digests that another key signed."""
    copy.put()
    create_key_file(tmp_path / "other.pem")
    report = copy.verify(FileSigner(tmp_path / "other.pem").public_key())
    assert {str(finding.status) for finding in report.findings} == {"invalid"}
    assert len(report.findings) == 4


def test_a_log_without_digests_is_found_on_s3(copy: Copy) -> None:
    """Where none is left, nothing vouches for the heads, and that is a fault."""
    for name in copy.written.digests:
        del copy.bodies[name]
    assert {status for status, _ in copy.found()} == {"missing"}


def test_a_hidden_digest_is_found_on_s3(copy: Copy) -> None:
    """A delete marker over a digest; the digest itself is verified all the same."""
    copy.put()
    name = copy.written.digests[2]
    copy.written.s3.delete_object(Bucket=copy.store.bucket, Key=name)
    assert copy.now_found() == {("hidden", copy.last(name))}


def test_an_unlocked_digest_is_found_on_s3(copy: Copy) -> None:
    """A digest that could be deleted."""
    copy.unlocked = {copy.written.digests[3]}
    assert copy.found() == {("unlocked", copy.last(copy.written.digests[3]))}


def test_no_digest_can_be_deleted(copy: Copy) -> None:
    """Object Lock refuses it, as it does for segments."""
    copy.put()
    name = copy.written.digests[0]
    head = copy.store.head(name)
    assert head is not None
    with pytest.raises(ClientError):
        copy.written.s3.delete_object(Bucket=copy.store.bucket, Key=name, VersionId=head.version_id)


def test_a_partition_hidden_whole_is_found(copy: Copy) -> None:
    """Delete markers over every segment of a partition, which listings then show no more: all are found hidden."""
    copy.put()
    hidden = [name for name in copy.bodies if "/p00001/" in name]
    for name in hidden:
        copy.written.s3.delete_object(Bucket=copy.store.bucket, Key=name)
    assert copy.now_found() == {("hidden", copy.last(name)) for name in hidden}


def test_a_partition_deleted_whole_is_found(copy: Copy) -> None:
    """A copy without one partition: the digests name it, and its ordinals are missed."""
    copy.bodies = {name: body for name, body in copy.bodies.items() if "/p00001/" not in name}
    assert {status for status, _ in copy.found()} >= {"truncated", "gap"}


def test_a_log_deleted_whole_is_found(copy: Copy) -> None:
    """Nothing at all is not "nothing wrong"."""
    assert copy.now_found() == {("missing", "")}


def test_a_second_file_behind_a_segment_is_found(copy: Copy) -> None:
    """CloudTrail's multi-member gzip, for Parquet, whose readers begin at the end: a forged file appended to a genuine
    segment is what every reader would see; the verification sees trailing data."""
    name = copy.written.segments[1]
    copy.bodies[name] += _forged(copy, name)
    assert copy.found() >= {("trailing data", copy.last(name))}


def test_a_second_file_behind_the_head_is_found(copy: Copy) -> None:
    """The same for the last segment, for which no successor speaks: it is no segment, and the digest misses its own."""
    name = copy.written.segments[-1]
    copy.bodies[name] += _forged(copy, name)
    found = copy.found()
    assert ("invalid", copy.last(name)) in found
    assert copy.last(copy.written.digests[-1]) in {last for _, last in found}


def test_a_replaced_head_is_found(copy: Copy) -> None:
    """A forged last segment that fits the chain: the digest names another."""
    name = copy.written.segments[-1]
    copy.bodies[name] = _forged(copy, name)
    assert copy.found() >= {("invalid", copy.last(copy.written.digests[-1]))}


def test_a_missing_segment_is_a_gap_of_ordinals(copy: Copy) -> None:
    """CloudTrail's deleted log file: missing by the chain's count, and its ten changes by their ordinals."""
    name = copy.written.segments[2]
    del copy.bodies[name]
    statuses = {status for status, _ in copy.found()}
    assert statuses == {"missing", "gap"}
    report = copy.verify()
    assert report.ordinals.missing == {"shardId-1": [(40, 49)]}


def test_a_writer_finds_the_head_behind_a_delete_marker(copy: Copy) -> None:
    """Hiding the head does not make the consumer fork its own chain: it goes on after the hidden segment."""
    copy.put()
    copy.written.s3.delete_object(Bucket=copy.store.bucket, Key=copy.written.segments[-1])
    sink = AuditSink(
        copy.store,
        AuditSettings(bucket=copy.store.bucket, retention_days=1),
        registry=CollectorRegistry(),
        now_ms=lambda: copy.written.now_ms,
        executor=InlineExecutor(),
    )
    start, writer = sink.open(PARTITION, 0)
    assert start == 40
    writer.add([record(40, ordinal=80)])
    writer.flush()
    assert copy.now_found() == {("hidden", copy.last(copy.written.segments[-1]))}


def test_a_segment_beside_one_order_is_missed_on_s3(copy: Copy) -> None:
    """One order is verified, and what is gone lies in the other partition: its ordinals may have been the order's."""
    key, other = b"o-3", 1 - partition_of_key(b"o-3", 2)
    beside = sorted(name for name in copy.bodies if name.startswith("audit/orders/") and f"/p{other:05d}/" in name)
    del copy.bodies[beside[1]]
    copy.put()
    wanted = Wanted("orders", datetime.now(UTC), copy.written.signer.public_key(), key=key, partitions=2)
    found = {(str(f.status), f.name.rpartition("/")[2]) for f in verify_log(copy.store, "audit", wanted).findings}
    assert ("missing", copy.last(beside[2])) in found
    assert ("gap", "shardId-1") in found


def test_reading_rights_are_enough(copy: Copy, s3_server: S3Server) -> None:
    """Behind a proxy that refuses every request that writes, the whole log, a range and one order verify."""
    copy.put()
    with read_only(s3_server.endpoint) as (endpoint, proxy):
        client = aws_of(s3_server, endpoint).client("s3")
        with pytest.raises(ClientError):
            client.put_object(Bucket=copy.store.bucket, Key="x", Body=b"x")
        assert len(proxy.refused) == 1
        copy.store = ObjectStore(client, copy.store.bucket)
        assert copy.verify().findings == []
        now, key = datetime.now(UTC), copy.written.signer.public_key()
        begin = copy.written.now_ms - 700_000
        ranged = verify_log(copy.store, "audit", Wanted("orders", now, key, from_ms=begin))
        assert ranged.findings == []
        assert 0 < sum(chain.segments for chain in ranged.chains) < 8
        one = verify_log(copy.store, "audit", Wanted("orders", now, key, key=b"o-3", partitions=2))
        assert one.findings == []
        assert len(proxy.refused) == 1
        assert proxy.passed > 20


def _forged(copy: Copy, name: str) -> bytes:
    """A segment in the same place of the chain with other contents."""
    genuine = StoredObject(ObjectHead(name, 0, datetime.now(UTC)), copy.bodies[name])
    link, previous, _ = read(genuine)
    columns = RecordColumns()
    columns.extend([record(offset, topic_run="forged-") for offset in range(link.first, link.last + 1)])
    return build(PARTITION, previous, columns.table())[0]
