"""The running audit on two sides in memory: what it tells, and when its health is red."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from connectors.telemetry import Checks
from mirrormaker.audit import Audit, AuditMetrics, Finding, Kind, Partition, Print
from mirrormaker.audit.side import Side, Trim
from schemas.control import ControlKind, decode_control, encode_control
from schemas.errors import ConfigError, RetryableError

ONE = Partition("orders", 0)


class MemorySide:
    """A side whose log is a list of numbers; it can be away, trimmed or made anew."""

    def __init__(self, name: str, numbers: Iterable[int], *, partitions: int = 1) -> None:
        self.name = name
        self.log = list(numbers)
        self.begins = 0
        self.identity = "first"
        self.away = False
        self._partitions = partitions
        self._next = 0
        self._held = False

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return dict.fromkeys(topics, self.identity)

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        return dict.fromkeys(topics, self._partitions) if self._partitions else {}

    def watermarks(self, partition: Partition) -> tuple[int, int]:
        return self.begins, len(self.log)

    def start(self, offsets: Mapping[Partition, int | None]) -> None:
        offset = offsets[ONE]
        self._next = self.begins if offset is None else offset

    def read(self, wait_s: float) -> tuple[dict[Partition, list[Print]], list[Trim]]:
        if self.away:
            raise RetryableError("away", hint="later")
        if self._next < self.begins:
            trim = Trim(ONE, self._next, self.begins)
            self._next = self.begins
            return {}, [trim]
        begin = self._next
        if not self._held:
            self._next = min(len(self.log), begin + 7)
        prints = [Print(self.log[at].to_bytes(16, "big"), at) for at in range(begin, self._next)]
        return ({ONE: prints} if prints else {}), []

    def has_ended(self, partition: Partition) -> bool:
        return self._next >= len(self.log)

    def has_read_to(self, partition: Partition, offset: int) -> bool:
        return self._next >= offset

    def hold(self, partition: Partition, *, held: bool) -> None:
        self._held = held


class Clock:
    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        self.ms += 10
        return self.ms


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.away = ""

    def tell(self, finding: Finding) -> None:
        self.findings.append(finding)

    def fault(self) -> str:
        return self.away

    def settled(self, within_s: float) -> bool:
        return not self.away


def audit_of(
    source: MemorySide, copy: MemorySide, state_file: Path | None = None, findings: Told | None = None
) -> tuple[Any, Checks]:
    health = Checks()
    sides: Any = (source, copy)
    metrics = AuditMetrics(CollectorRegistry())
    made = Audit(
        "eu->us",
        *sides,
        ("orders",),
        now_ms=Clock(),
        clock_ms=lambda: 1_000,
        metrics=metrics,
        health=health,
        stall_after_ms=500,
        state_file=state_file,
        findings=findings,
    )
    return made, health


def red(health: Checks) -> set[str]:
    return {name for name, check in health.read().items() if not check.ok}


def counts(audit: Any) -> dict[Kind, int]:
    verdict = audit.verdict()
    return {kind: verdict.count(kind) for kind in Kind if verdict.count(kind)}


def test_equal_sides_are_equal_and_green() -> None:
    """Everything is matched, health is green, and the run ends by itself."""
    audit, health = audit_of(MemorySide("eu", range(100)), MemorySide("us", range(100)))
    assert audit.run_once(settle_ms=2_000).matched == 100
    assert red(health) == set()


def test_an_empty_copy_is_all_missing() -> None:
    """A partition that never got a record lacks every record of the source."""
    audit, health = audit_of(MemorySide("eu", range(30)), MemorySide("us", []))
    audit.run_once(settle_ms=2_000)
    assert counts(audit)[Kind.MISSING] == 30
    assert red(health) == {"mirror-audit-eu->us"}


def test_a_stall_is_told_once_and_green_again() -> None:
    """Red while the oldest record waits for too long; the count stays, the colour does not."""
    source, copy = MemorySide("eu", range(10)), MemorySide("us", range(10))
    audit, health = audit_of(source, copy)
    audit.start()
    for _ in range(10):
        audit.step()
    source.log.append(10)
    for _ in range(100):
        audit.step()
    assert counts(audit) == {Kind.STALLED: 1}
    assert red(health) == {"mirror-audit-eu->us"}
    copy.log.append(10)
    audit.step()
    assert red(health) == set()


def test_a_cluster_that_is_away_is_red_and_loses_nothing() -> None:
    """Reading goes on when it is back, with nothing told that is not so."""
    source, copy = MemorySide("eu", range(50)), MemorySide("us", range(50))
    audit, health = audit_of(source, copy)
    audit.start()
    audit.step()
    source.away = True
    audit.step()
    assert red(health) == {"mirror-audit-eu->us-eu"}
    source.away = False
    for _ in range(20):
        audit.step()
    assert audit.verdict().matched == 50
    assert counts(audit) == {}
    assert red(health) == set()


def test_what_was_trimmed_before_it_was_read_is_told(tmp_path: Path) -> None:
    """Offsets that are gone on resuming are counted as trimmed, and the rest is compared."""
    state = tmp_path / "state.json"
    source, copy = MemorySide("eu", range(50)), MemorySide("us", range(50))
    first, _ = audit_of(source, copy, state)
    first.run_once(settle_ms=2_000)
    source.log += range(50, 100)
    copy.log += range(50, 100)
    source.begins = 80
    told = Told()
    again, _ = audit_of(source, copy, state, told)
    verdict = again.run_once(settle_ms=2_000)
    assert verdict.count(Kind.TRIMMED) == 30
    assert verdict.matched == 20
    assert [(one.kind, one.count, one.first, one.last) for one in told.findings] == [(Kind.TRIMMED, 30, 50, 79)]


def test_a_topic_made_anew_is_told_while_it_runs() -> None:
    """Another id is another topic: told once, and compared from its beginning."""
    source, copy = MemorySide("eu", range(10)), MemorySide("us", range(10))
    audit, health = audit_of(source, copy)
    audit.start()
    for _ in range(5):
        audit.step()
    source.identity, source.log = "second", list(range(200, 220))
    for _ in range(3000):
        audit.step()
        if Kind.RECREATED in counts(audit):
            break
    copy.log += range(200, 220)
    for _ in range(20):
        audit.step()
    assert Kind.MISSING not in counts(audit)
    assert counts(audit)[Kind.RECREATED] == 1
    assert audit.verdict().matched == 30
    assert red(health) == {"mirror-audit-eu->us"}


def test_each_difference_is_told_once_with_its_place() -> None:
    """A stretch that the copy lacks is one finding with its source offsets, becomes a gap event; a repeat another."""
    told = Told()
    copy = [*range(20), *range(35, 50), 49, *range(50, 60)]
    audit, _ = audit_of(MemorySide("eu", range(60)), MemorySide("us", copy), findings=told)
    audit.run_once(settle_ms=2_000)
    of_kind = {finding.kind: finding for finding in told.findings}
    assert {kind: (one.count, one.place) for kind, one in of_kind.items()} == {
        Kind.MISSING: (15, "orders/0"),
        Kind.REPEATED: (1, "orders/0"),
    }
    assert (of_kind[Kind.MISSING].first, of_kind[Kind.MISSING].last) == (20, 34)
    event = decode_control(encode_control(of_kind[Kind.MISSING].event(1_234)))
    assert (event.kind, event.sequence, event.to_sequence, event.at_ms) == (ControlKind.GAP, 20, 34, 1_234)
    assert (event.stream, event.shard, event.certain) == ("eu->us", "orders/0", True)
    assert event.reason == "mirror-missing: 15 of orders/0 in eu->us, source offsets 20 to 34"


def test_a_difference_stands_over_a_restart_until_it_is_acknowledged(tmp_path: Path) -> None:
    """What was found is red after a restart too, is not told again, and is green when someone says that it is known."""
    state = tmp_path / "state.json"
    source, copy = MemorySide("eu", range(30)), MemorySide("us", [*range(10), *range(12, 30)])
    audit_of(source, copy, state)[0].run_once(settle_ms=2_000)
    told = Told()
    again, health = audit_of(source, copy, state, told)
    again.run_once(settle_ms=100)
    assert (counts(again), told.findings) == ({Kind.MISSING: 2}, [])
    assert red(health) == {"mirror-audit-eu->us"}
    known, green = audit_of(source, copy, state)
    known.forget_differences()
    known.run_once(settle_ms=100)
    assert (counts(known), red(green)) == ({}, set())


def test_gap_events_that_wait_are_red() -> None:
    """Differences that cannot be written are said, not forgotten."""
    told = Told()
    audit, health = audit_of(MemorySide("eu", range(5)), MemorySide("us", range(5)), findings=told)
    audit.start()
    told.away = "3 gap events wait"
    audit.step()
    assert red(health) == {"mirror-audit-eu->us-gap-events"}


@pytest.mark.parametrize("partitions", [0, 2])
def test_unlike_topics_are_refused(partitions: int) -> None:
    """An absent copy, or one with another number of partitions, is a sentence before anything is read."""
    audit, _ = audit_of(MemorySide("eu", range(3)), MemorySide("us", range(3), partitions=partitions))
    with pytest.raises(ConfigError):
        audit.start()


OTHER = Partition("other", 0)


class TwoTopics(MemorySide):
    """A second topic that is empty and can be made anew, or asked for in vain."""

    def __init__(self, name: str, numbers: Iterable[int]) -> None:
        super().__init__(name, numbers)
        self.other_identity = "first"
        self.partitions_of_other = 1
        self.is_silent = False

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return {topic: self.other_identity if topic == "other" else self.identity for topic in topics}

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        if self.is_silent:
            raise RetryableError("silent", hint="later")
        return {topic: self.partitions_of_other if topic == "other" else 1 for topic in topics}


def two_topics() -> tuple[Any, Any, TwoTopics, TwoTopics]:
    """An audit of both, in which the source is ahead by five records that wait for their copies."""
    source, copy = TwoTopics("eu", range(20)), TwoTopics("us", range(15))
    sides: Any = (source, copy)
    clock = Clock()
    audit = Audit(
        "eu->us",
        *sides,
        ("orders", "other"),
        now_ms=clock,
        clock_ms=lambda: 1_000,
        metrics=AuditMetrics(CollectorRegistry()),
        health=Checks(),
        stall_after_ms=10_000_000,
    )
    audit.start()
    while audit.verdict().matched < 15:
        audit.step()
    audit.step()
    return audit, clock, source, copy


def test_another_topic_made_anew_leaves_what_waits_alone() -> None:
    """Records of one topic that wait for their copies are not read a second time because another was made anew."""
    audit, clock, source, copy = two_topics()
    source.other_identity = "second"
    clock.ms += 31_000
    audit.step()
    copy.log = list(range(20))
    for _ in range(20):
        audit.step()
    assert counts(audit) == {Kind.RECREATED: 1}
    assert audit.verdict().matched == 20
    assert max(one.lag for one in audit.verdict().partitions) == 0


def test_a_second_time_made_anew_counts_twice() -> None:
    """What was found before stays counted when partitions begin anew."""
    audit, clock, source, _ = two_topics()
    for identity in ("second", "third"):
        source.other_identity = identity
        clock.ms += 31_000
        audit.step()
    assert counts(audit) == {Kind.RECREATED: 2}


def test_a_topic_made_anew_begins_at_its_beginning_even_if_the_cluster_is_silent_then() -> None:
    """Partitions begin anew as soon as the cluster answers, not never."""
    audit, clock, source, copy = two_topics()
    source.identity = "second"
    source.log, source.is_silent = list(range(100, 130)), True
    copy.log = list(range(15)) + list(range(100, 130))
    clock.ms += 31_000
    audit.step()
    source.is_silent = False
    clock.ms += 31_000
    for _ in range(30):
        audit.step()
    assert counts(audit) == {Kind.RECREATED: 1}
    assert audit.verdict().matched == 15 + 30


def test_a_new_partition_is_audited_while_it_runs() -> None:
    """Partitions that are added are seen within half a minute; until both sides have them, health is red."""
    audit, clock, source, copy = two_topics()
    source.partitions_of_other = 2
    clock.ms += 31_000
    audit.step()
    assert red(audit._health) == {"mirror-audit-eu->us-topics"}
    copy.partitions_of_other = 2
    clock.ms += 31_000
    audit.step()
    assert Partition("other", 1) in {one.partition for one in audit.verdict().partitions}
    assert red(audit._health) == set()
    assert counts(audit) == {}


def test_a_topic_made_anew_is_not_resumed_where_the_old_one_was(tmp_path: Path) -> None:
    """Killed right after it noticed, the audit begins at the new topic's first record, not at the old one's offset."""
    file = tmp_path / "state.json"
    source, copy = MemorySide("eu", range(10)), MemorySide("us", range(10))
    audit, _ = audit_of(source, copy, file)
    audit.run_once(settle_ms=500)
    source.identity = "second"
    source.log, copy.log = list(range(100, 140)), [*range(10), *range(100, 140)]
    again, _ = audit_of(source, copy, file)
    again.start()
    again.save()
    third, _ = audit_of(source, copy, file)
    verdict = third.run_once(settle_ms=2_000)
    assert verdict.matched == 40


class BatchReader:
    """A consumer that hands out given batches."""

    def __init__(self, *batches: list[Any]) -> None:
        self.batches = list(batches)

    def consume(self, count: int, wait_s: float) -> list[Any]:
        return self.batches.pop(0) if self.batches else []


class Sent:
    """A message, or an error of a partition."""

    def __init__(self, offset: int, code: int | None = None) -> None:
        self._offset, self._code = offset, code

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"%d" % self._offset

    def headers(self) -> None:
        return None

    def error(self) -> KafkaError | None:
        return None if self._code is None else KafkaError(self._code)


def test_an_error_in_a_batch_loses_nothing_of_it() -> None:
    """Records before and behind an error in the same batch are handed out; the error is told by the next call."""
    batch = [Sent(0), Sent(-1, KafkaError._ALL_BROKERS_DOWN), Sent(1)]
    clients: Any = type("Clients", (), {"reader": lambda _: BatchReader(batch), "admin": lambda _: None})()
    side = Side("us", clients)
    prints, _ = side.read(0)
    assert [one.offset for one in prints[ONE]] == [0, 1]
    with pytest.raises(RetryableError):
        side.read(0)
    assert side.read(0) == ({}, [])


def test_a_place_is_kept_only_with_its_gap_events(tmp_path: Path) -> None:
    """Killed while gap events wait for the cluster, the audit finds the same again and tells it."""
    file = tmp_path / "state.json"
    holed = [*range(10), *range(12, 30)]
    told = Told()
    told.away = "the cluster is away"
    audit, _ = audit_of(MemorySide("eu", range(30)), MemorySide("us", holed), file, told)
    audit.run_once(settle_ms=2_000)
    assert [(one.kind, one.first, one.last) for one in told.findings] == [(Kind.MISSING, 10, 11)]
    again = Told()
    audit, _ = audit_of(MemorySide("eu", range(30)), MemorySide("us", holed), file, again)
    audit.run_once(settle_ms=2_000)
    assert [one.key for one in again.findings] == [one.key for one in told.findings]
    third, _ = audit_of(MemorySide("eu", range(30)), MemorySide("us", holed), file, Told())
    assert third.run_once(settle_ms=2_000).matched == 0
