"""Verifying a part of the audit log: between two digests, for one order, and with what the feed declared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.signing import FileSigner, create_key_file
from consumers.audit import AuditSettings, AuditSink, LogReport, Wanted, verify_log
from consumers.columns import StoredRecord, partition_of_key
from consumers.runtime.contracts import Partition
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.errors import ConfigError
from schemas.partitioner import murmur2
from tests.unit.feed_records import record
from tests.unit.memory_store import InlineExecutor, MemoryStore

START_MS = 1_767_225_600_000
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FIVE_MINUTES_MS = 300_000


class Log:
    """A log of two partitions that share a shard, with its control topic; digests every five minutes."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        create_key_file(folder / "key.pem")
        self.signer = FileSigner(folder / "key.pem")
        self.now_ms = START_MS
        self.ordinal = 0
        self.control_offset = 0
        sink = self.sink()
        self.writers = [sink.open(Partition("c", "t", "orders", number), 0)[1] for number in (0, 1)]
        self.offsets = [0, 0]
        self.control = self.sink().open(Partition("c", "t2", "orders.control", 0), 0)[1]

    def sink(self) -> AuditSink:
        """A sink of its own for each topic, as in a process."""
        return AuditSink(
            self.store,
            AuditSettings(bucket="memory", retention_days=10),
            registry=CollectorRegistry(),
            now_ms=lambda: self.now_ms,
            executor=InlineExecutor(),
            signer=self.signer,
        )

    def say(self, event: ControlEvent) -> None:
        """A control event reaches the log."""
        value = encode_control(event)
        self.control.add([StoredRecord("orders.control", 0, self.control_offset, b"", value, None, 1, event.at_ms)])
        self.control.flush()
        self.control_offset += 1

    def publish(self, partition: int, count: int = 1, *, shard: str = "shardId-1", key: bytes | None = None) -> None:
        """Changes of the shard (all of one item where its key is given), with its next ordinals, in a segment."""
        start = self.offsets[partition]
        records = [
            replace(
                record(start + n, ordinal=self.ordinal + n, shard=shard, at_ms=self.now_ms), stored_partition=partition
            )
            for n in range(count)
        ]
        if key is not None:
            records = [replace(each, stored_key=key) for each in records]
        self.ordinal += count
        self.offsets[partition] += count
        self.writers[partition].add(records)
        self.writers[partition].flush()

    def digest(self) -> None:
        """Five minutes pass."""
        self.now_ms += FIVE_MINUTES_MS
        for _ in range(3):
            for writer in (*self.writers, self.control):
                writer.tick(self.now_ms)

    def segments(self, partition: int) -> list[str]:
        """Names of a partition's segments."""
        return sorted(key for key in self.store.objects if key.startswith(f"audit/orders/c/t/p{partition:05d}/"))

    def verify(self, **wanted: object) -> LogReport:
        """A verification with the public key."""
        self.store.calls.clear()
        given = {"now": NOW, "public_key": self.signer.public_key(), "partitions": 2, **wanted}
        return verify_log(self.store, "audit", Wanted("orders", **given))  # type: ignore[arg-type]  # given by name

    def gets(self) -> list[str]:
        """Segments of changes that the last verification read."""
        return [key for call, key in self.store.calls if call == "get" and key.startswith("audit/orders/")]


def event(kind: ControlKind, **told: object) -> ControlEvent:
    """A control event of the shard."""
    given = {"at_ms": START_MS, "shard": "shardId-1", **told}
    return ControlEvent(kind, "orders", **given)  # type: ignore[arg-type]  # given by name


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Twenty times five minutes, with two segments a partition in each."""
    log = Log(tmp_path)
    log.say(event(ControlKind.SHARD_START))
    log.digest()
    for _ in range(20):
        for partition in (0, 1, 1, 0):
            log.publish(partition, 3)
        log.digest()
    return log


def test_a_range_is_verified_without_reading_all(log: Log) -> None:
    """Ten minutes in the middle: valid, and only the segments of the range and a few digests are read."""
    begin = START_MS + 10 * FIVE_MINUTES_MS
    report = log.verify(from_ms=begin, to_ms=begin + 2 * FIVE_MINUTES_MS)
    assert report.findings == []
    assert sum(chain.segments for chain in report.chains) == 8
    assert len(log.gets()) == 8
    assert report.digests == 3
    assert len([key for call, key in log.store.calls if call == "get" and "digests/orders/" in key]) < 15


def test_partitions_that_close_at_different_times_are_no_gap(log: Log) -> None:
    """An ordinal of the range that a slower partition stored after it is looked for beside the range."""
    first = log.ordinal
    log.ordinal = first + 1
    log.publish(0, 1)
    log.digest()
    begin = log.now_ms - FIVE_MINUTES_MS
    log.ordinal = first
    log.publish(1, 1)
    log.ordinal = first + 2
    log.publish(0, 1)
    log.digest()
    assert log.verify(from_ms=begin - FIVE_MINUTES_MS, to_ms=begin + FIVE_MINUTES_MS).findings == []
    assert log.verify(from_ms=begin - FIVE_MINUTES_MS, to_ms=begin).findings == []
    assert log.verify(from_ms=begin + FIVE_MINUTES_MS).findings == []


def test_a_range_that_begins_before_the_log_is_its_begin(log: Log) -> None:
    """Both ends may lie outside: then the whole log is verified."""
    report = log.verify(from_ms=0, to_ms=START_MS + 10**9)
    assert report.findings == []
    assert sum(chain.records for chain in report.chains) == 240


def test_a_missing_segment_in_the_range_is_found_and_one_outside_is_not(log: Log) -> None:
    """A segment that is gone is a fault of the range that it belongs to."""
    del log.store.objects[log.segments(1)[20]]
    begin = START_MS + 11 * FIVE_MINUTES_MS
    found = {str(f.status) for f in log.verify(from_ms=begin, to_ms=begin + FIVE_MINUTES_MS).findings}
    assert found == {"missing", "gap"}
    later = START_MS + 15 * FIVE_MINUTES_MS
    assert log.verify(from_ms=later).findings == []


def test_the_edge_of_a_range_is_proven_by_the_digest_before_it(log: Log) -> None:
    """A history before the range that was written anew, consistent in itself up to the range, does not connect."""
    names = log.segments(0)
    kept = {name: log.store.objects.pop(name) for name in names[20:]}
    shortened = log.store.objects.pop(names[19])
    sink = log.sink()
    _, forger = sink.open(Partition("c", "t", "orders", 0), 57)
    forger.add([record(offset, ordinal=10_000 + offset) for offset in range(57, 60)])
    forger.flush()
    forged = log.store.objects[names[19]]
    assert forged[0].body != shortened[0].body
    forger.add([record(offset, ordinal=10_000 + offset) for offset in range(60, 63)])
    forger.flush()
    continued = log.store.objects[names[20]]
    log.store.objects.update({name: versions for name, versions in kept.items() if name != names[20]})
    log.store.objects[names[20]] = continued
    begin = START_MS + 11 * FIVE_MINUTES_MS
    found = {(str(f.status), f.name) for f in log.verify(from_ms=begin).findings}
    assert ("forked", names[20]) in found


def test_the_end_of_a_range_is_proven_by_the_digest_after_it(log: Log) -> None:
    """The last segment of a range has its hash in the digest that ends it, though its successor is not read."""
    name = log.segments(0)[21]
    stored = log.store.objects.pop(name)[0]
    body = bytearray(stored.body)
    body[8] ^= 1
    log.store.plant(name, bytes(body), retain_until=stored.head.retain_until)
    begin = START_MS + 11 * FIVE_MINUTES_MS
    found = {str(f.status) for f in log.verify(from_ms=begin, to_ms=begin + FIVE_MINUTES_MS).findings}
    assert "invalid" in found


def test_an_idle_range_is_valid(log: Log) -> None:
    """Between two digests with the same heads there is nothing to read, and nothing wrong."""
    for _ in range(3):
        log.digest()
    begin = log.now_ms - 2 * FIVE_MINUTES_MS
    report = log.verify(from_ms=begin, to_ms=begin + FIVE_MINUTES_MS)
    assert report.findings == []
    assert sum(chain.segments for chain in report.chains) == 0


def test_a_range_needs_digests(log: Log) -> None:
    """Without digests nothing vouches for where a range begins: it is refused with a hint, not guessed."""
    for name in [name for name in log.store.objects if name.startswith("audit-digests/orders/")]:
        del log.store.objects[name]
    with pytest.raises(ConfigError, match="no digests"):
        log.verify(from_ms=START_MS)


def test_one_order_is_verified_by_its_chain(log: Log) -> None:
    """The order's partition is verified from end to end; its changes are counted with the segments that hold them."""
    partition = partition_of_key(b"o-3", 2)
    report = log.verify(key=b"o-3")
    assert report.findings == []
    assert [chain.partition.number for chain in report.chains] == [partition]
    assert report.chains[0].segments == 40
    held = [r for r in range(120) if r % 7 == 3]
    assert sum(count for _, count in report.chains[0].of_key) == len(held)


def test_a_refused_ordinal_is_declared_with_its_reason(log: Log) -> None:
    """An ordinal that went to the dead letters is not missing: the control events say so, and why."""
    refused = log.ordinal
    log.ordinal += 1
    log.publish(0, 2)
    assert {str(finding.status) for finding in log.verify().findings} == {"gap"}
    log.say(event(ControlKind.REFUSED, ordinal=refused, reason="no such status"))
    report = log.verify()
    assert report.findings == []
    assert [(r.ordinal, r.reason) for r in report.ordinals.declared] == [(refused, "no such status")]


def test_a_tail_that_never_came_is_found_by_the_shards_end(log: Log) -> None:
    """The last changes of a shard that ended are missed, though nothing follows them; right after its end not yet."""
    log.say(event(ControlKind.SHARD_END, ordinal=log.ordinal + 4))
    assert log.verify(now=datetime.fromtimestamp(START_MS / 1000 + 30, UTC)).ordinals.missing == {}
    assert log.verify().ordinals.missing == {"shardId-1": [(log.ordinal, log.ordinal + 4)]}


def test_a_shard_that_was_skipped_is_found_by_its_child(log: Log) -> None:
    """A shard whose parent has neither an end nor a gap breaks the lineage; a declared gap mends it."""
    log.say(event(ControlKind.SHARD_START, shard="shardId-3", parent="shardId-2"))
    assert [str(f.status) for f in log.verify().findings] == ["gap"]
    log.say(event(ControlKind.GAP, shard="shardId-2", reason="trimmed"))
    report = log.verify()
    assert report.findings == []
    assert report.ordinals.gaps == ["shardId-2: trimmed (certain)"]


def test_rows_and_the_mark_of_a_first_load_are_kept(log: Log) -> None:
    """Rows of a snapshot are proven by their dense ordinals; its mark has neither key, value nor ordinal."""
    log.ordinal = 0
    log.publish(0, 4, shard="snapshot-1-0")
    mark = StoredRecord(
        "orders", 0, log.offsets[0], None, None, [("ce_type", b"changefeed.snapshot-complete")], 1, log.now_ms
    )
    log.writers[0].add([mark])
    log.writers[0].flush()
    report = log.verify()
    assert report.findings == []
    assert report.ordinals.changes == 244


def test_a_log_that_began_late_proves_what_it_saw(tmp_path: Path) -> None:
    """An audit log that was set up after the topic does not miss the changes before its first segment."""
    log = Log(tmp_path)
    log.say(event(ControlKind.SHARD_START, at_ms=START_MS - 10**6))
    log.ordinal, log.offsets = 50, [25, 25]
    for partition in (0, 1, 0):
        log.publish(partition, 2)
    log.digest()
    assert log.verify().findings == []


def test_an_empty_log_is_a_finding(log: Log) -> None:
    """A bucket without any segment of the topic does not pass as valid."""
    log.store.objects.clear()
    assert [str(f.status) for f in log.verify().findings] == ["missing"]


def test_keys_are_placed_as_kafka_places_them() -> None:
    """The hash is the Java client's, by the values of its own tests."""
    known = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    assert {key: murmur2(key) for key in known} == {key: value & 0xFFFFFFFF for key, value in known.items()}


def live(log: Log, periods: range) -> int:
    """An order that changes in each of these periods, among others of both partitions; its partition."""
    partition = partition_of_key(b"o-17", 2)
    for _ in periods:
        log.publish(1 - partition, 2)
        log.publish(partition, 1, key=b"o-17")
        log.publish(1 - partition, 2)
        log.digest()
    return partition


def test_of_other_partitions_only_what_is_around_the_order_is_read(log: Log) -> None:
    """The ordinals between its changes lie in the others; of their segments those around its life are read."""
    partition = live(log, range(2))
    for _ in range(10):
        log.publish(0, 1)
        log.publish(1, 1)
        log.digest()
    report = log.verify(key=b"o-17")
    assert report.findings == []
    assert report.ordinals.changes == 6
    others = [key for key in log.gets() if f"/p{1 - partition:05d}/" in key]
    assert 4 <= len(others) <= 16  # of 54


def test_a_change_of_the_order_that_never_came_is_a_gap(log: Log) -> None:
    """Between its changes an ordinal is neither held nor declared: it may have been the order's, no chain shows it."""
    live(log, range(2))
    lost = log.ordinal
    log.ordinal += 1
    live(log, range(1))
    report = log.verify(key=b"o-17")
    assert report.ordinals.missing == {"shardId-1": [(lost, lost)]}
    assert [str(finding.status) for finding in report.findings] == ["gap"]
    log.say(event(ControlKind.REFUSED, ordinal=lost, reason="no such status"))
    report = log.verify(key=b"o-17")
    assert report.findings == []
    assert [refused.ordinal for refused in report.ordinals.declared] == [lost]


def test_a_missing_ordinal_behind_the_order_is_not_its(log: Log) -> None:
    """What is missing before its first and behind its last change is found by the whole verification, not by this."""
    log.ordinal += 1
    live(log, range(2))
    log.ordinal += 1
    log.publish(0, 1)
    log.digest()
    assert log.verify(key=b"o-17").findings == []
    assert {str(finding.status) for finding in log.verify().findings} == {"gap"}


def test_a_segment_beside_the_order_that_was_taken_away_is_found(log: Log) -> None:
    """The ordinals around the order rest on other partitions' segments: those are verified as well."""
    partition = live(log, range(4))
    taken = log.segments(1 - partition)[-4]
    del log.store.objects[taken]
    found = log.verify(key=b"o-17")
    assert {str(finding.status) for finding in found.findings} == {"missing", "gap"}
    assert [chain.partition.number for chain in found.beside] == [1 - partition]


def test_the_partition_beside_the_order_taken_away_whole_is_found(log: Log) -> None:
    """The digests around the order name its head."""
    partition = live(log, range(4))
    for name in log.segments(1 - partition):
        del log.store.objects[name]
    assert {str(finding.status) for finding in log.verify(key=b"o-17").findings} == {"truncated", "gap"}


def test_an_order_that_went_on_in_a_later_shard(log: Log) -> None:
    """From its last change in one shard to its first in another: the end of the one, all between, the other's begin."""
    live(log, range(1))
    first = log.ordinal
    log.publish(0, 3)  # the end of its first shard
    log.say(event(ControlKind.SHARD_END, ordinal=log.ordinal - 1))
    log.ordinal = 0
    log.say(event(ControlKind.SHARD_START, shard="shardId-2", parent="shardId-1"))
    log.publish(0, 4, shard="shardId-2")
    log.say(event(ControlKind.SHARD_END, shard="shardId-2", ordinal=4))  # its last change never came
    log.ordinal = 1
    log.say(event(ControlKind.SHARD_START, shard="shardId-3", parent="shardId-2"))
    partition = partition_of_key(b"o-17", 2)
    log.publish(partition, 1, shard="shardId-3", key=b"o-17")  # nor the first one of this shard
    log.digest()
    report = log.verify(key=b"o-17")
    assert report.ordinals.missing == {"shardId-2": [(4, 4)], "shardId-3": [(0, 0)]}
    assert report.ordinals.changes == first - 242 + 3 + 4 + 1
