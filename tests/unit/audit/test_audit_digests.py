"""Digests: numbered, signed, anchored, and what a verification finds when something is done to them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.signing import FileSigner, create_key_file
from consumers.audit import Anchored, AuditSettings, AuditSink, LogReport, Wanted, verify_log
from consumers.audit.digests import read_digest
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError, RetryableError
from tests.unit.feed_records import record
from tests.unit.memory_store import InlineExecutor, MemoryStore

START_MS = 1_767_225_600_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryAnchor:
    """An anchor with the rule of the real one."""

    def __init__(self) -> None:
        self.noted: Anchored | None = None
        self.away = False

    def read(self, partition: Partition) -> Anchored | None:
        return self.noted

    def advance(self, partition: Partition, to: Anchored) -> None:
        if self.away:
            raise RetryableError("away", hint="")
        if self.noted != to and to.number != (self.noted.number + 1 if self.noted else 0):
            raise FatalError("the anchor does not stand at the digest before", hint="")
        self.noted = to


class Log:
    """A log of two partitions with digests every five minutes, written by processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.anchor = MemoryAnchor()
        create_key_file(folder / "key.pem")
        self.signer = FileSigner(folder / "key.pem")
        self.now_ms = START_MS
        self.offset = 0
        self.start()

    def start(self) -> None:
        """A new process is assigned both partitions."""
        sink = AuditSink(
            self.store,
            AuditSettings(bucket="memory"),
            registry=CollectorRegistry(),
            now_ms=lambda: self.now_ms,
            executor=InlineExecutor(),
            signer=self.signer,
            anchor=self.anchor,
        )
        self.writers = [sink.open(Partition("c", "t", "orders", number), 0)[1] for number in (0, 1)]

    def five_minutes(self, records: int = 2) -> None:
        """Records come to both partitions, and the time of a digest passes."""
        for writer in self.writers:
            ordinals = range(self.offset, self.offset + records)
            shard = f"shard-{self.writers.index(writer)}"
            writer.add([record(ordinal, shard=shard) for ordinal in ordinals])
            writer.flush()
        self.offset += records
        self.now_ms += 300_000
        for _ in range(3):
            for writer in self.writers:
                writer.tick(self.now_ms)

    def digests(self) -> list[str]:
        """Names of the digests."""
        return sorted(key for key in self.store.objects if key.startswith("audit-digests/"))

    def segments(self, partition: int) -> list[str]:
        """Names of the segments of a partition."""
        return sorted(key for key in self.store.objects if f"/p{partition:05d}/" in key)

    def verify(self, key: bytes | None = None) -> LogReport:
        """A verification with the public key."""
        public_key = key or self.signer.public_key()
        return verify_log(self.store, "audit", Wanted("orders", NOW, public_key, self.anchor))

    def faults(self) -> list[str]:
        """The statuses found in the digests."""
        return [str(finding.status) for finding in self.verify().digest_findings]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log with six digests: three with records, two idle, one after a restart."""
    log = Log(tmp_path)
    for records in (2, 2, 0, 0):
        log.five_minutes(records)
    log.start()
    log.five_minutes()
    return log


def test_digests_are_numbered_signed_and_anchored(log: Log) -> None:
    """Also when idle and over a restart: no number is missing, everything verifies, the anchor stands at the last."""
    report = log.verify()
    assert report.valid
    assert report.digests == len(log.digests()) == 5
    assert log.anchor.noted is not None
    assert log.anchor.noted.number == 4


def test_a_missing_digest_is_found(log: Log) -> None:
    """A hole in the numbers is reported."""
    del log.store.objects[log.digests()[2]]
    assert log.faults() == ["missing"]


def test_cut_digests_are_found_by_the_anchor(log: Log) -> None:
    """Without its last digests the bucket is consistent in itself; the anchor knows better, also at a start."""
    for name in log.digests()[-2:]:
        del log.store.objects[name]
    assert log.faults() == ["truncated"]
    log.start()
    with pytest.raises(FatalError):
        log.five_minutes()


def test_a_cut_chain_is_found(log: Log) -> None:
    """Segments cut off the end of a chain are named by the digest that saw them."""
    for name in log.segments(1)[-1:]:
        del log.store.objects[name]
    assert log.faults() == ["truncated"]


def test_an_altered_digest_is_found(log: Log) -> None:
    """A digest with one character changed is not the key's, and not the one its follower names."""
    name = log.digests()[1]
    stored = log.store.objects.pop(name)[0]
    body = stored.body.replace(str(START_MS + 600_000).encode(), str(START_MS + 600_001).encode())
    log.store.plant(name, body, retain_until=stored.head.retain_until)
    assert set(log.faults()) == {"invalid"}


def test_another_key_is_found(log: Log, tmp_path: Path) -> None:
    """Digests signed by another key do not verify."""
    create_key_file(tmp_path / "other.pem")
    report = log.verify(FileSigner(tmp_path / "other.pem").public_key())
    assert [str(finding.status) for finding in report.digest_findings] == ["invalid"] * 5


def test_no_digests_is_a_finding(log: Log) -> None:
    """A log whose digests are all gone does not pass."""
    for name in log.digests():
        del log.store.objects[name]
    assert log.faults() == ["missing", "truncated"]


def test_a_rewritten_chain_is_found(log: Log, tmp_path: Path) -> None:
    """A chain that someone wrote anew, consistent in itself, is not the one that the digests saw."""
    forged = Log(tmp_path)
    forged.signer = log.signer
    for writer in forged.writers:
        writer.add([record(0, topic_run="forged-"), record(1, topic_run="forged-")])
        writer.flush()
    for partition in (0, 1):
        for name in log.segments(partition):
            del log.store.objects[name]
        for name in forged.segments(partition):
            log.store.objects[name] = forged.store.objects[name]
    assert "invalid" in log.faults()
    assert "truncated" in log.faults()


def test_a_crash_between_digest_and_anchor_heals(log: Log) -> None:
    """The next owner of partition 0 brings the anchor up to the digest that was stored."""
    log.anchor.away = True
    log.five_minutes()
    assert log.verify().valid  # one step behind is no fault
    log.anchor.away = False
    log.start()
    log.five_minutes()
    assert log.verify().valid
    assert log.anchor.noted is not None
    assert log.anchor.noted.number == len(log.digests()) - 1


def test_a_clock_that_was_ahead_neither_turns_time_back_nor_silences_the_digests(tmp_path: Path) -> None:
    """The owner before us was two hours ahead: digests go on every five minutes, and their times never go back."""
    log = Log(tmp_path)
    log.five_minutes()
    log.now_ms += 2 * 3_600_000
    log.five_minutes()
    ahead_ms = log.now_ms
    log.now_ms -= 2 * 3_600_000
    log.start()
    before = len(log.digests())
    for _ in range(4):
        log.five_minutes()
    assert len(log.digests()) >= before + 3
    times = [read_digest(log.store.get(name).body, name)[0].digest.to_ms for name in log.digests()]
    assert times == sorted(times)
    assert max(times) == ahead_ms
    assert log.verify().findings == []
