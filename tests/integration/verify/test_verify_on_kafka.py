"""Verify on real topics: those of three regions on one broker, whole, then with one record wrong in one region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from confluent_kafka import Producer

from connectors.kafka import KafkaClients, KafkaSettings
from feed.testing.regions import KafkaBroker
from feed.verify import expect
from feed.verify.difference import DifferenceFinding
from feed.verify.judge import Finding
from feed.verify.lineage import LineageFinding
from feed.verify.record import RecordReader
from feed.verify.topics import TopicReader, TopicsAudit, read_control
from feed.workload import WorkloadSettings
from feed.workload.rehearsal import SHARDS, rehearse
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.errors import FeedError
from schemas.headers import headers_of
from schemas.key import key_bytes

pytestmark = pytest.mark.integration

PARTITIONS = 3
REGIONS = ("eu", "us", "ap")
CODEC = ChangeCodec.for_image(bundled.load("order"))
RUN = rehearse(WorkloadSettings(rate_per_s=100, seconds=6, lanes=2, delete_share=0.4, burst_share=0.3, pause_ms=300))
EXPECTED = expect(RUN.entries)
CHANGES = list(RUN.changes(CODEC))

Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
Row = list[Record]
Fault = Callable[[Row], Row]


def rows() -> dict[int, Row]:
    """The records of each partition."""
    partitions: dict[int, Row] = {number: [] for number in range(PARTITIONS)}
    for change in CHANGES:
        key = key_bytes(change.key)
        partitions[sum(key) % PARTITIONS].append((key, CODEC.encode(change), headers_of(change)))
    return partitions


def control() -> list[ControlEvent]:
    """Two generations: the first two shards have ended, and are the parents of the others."""
    last = {change.source.shard: change.source.ordinal for change in CHANGES}
    shards = sorted(last)
    assert len(shards) == SHARDS
    parents = dict(zip(shards[2:], shards[:2], strict=True))
    starts = [
        ControlEvent(ControlKind.SHARD_START, "orders", 1, shard=shard, parent=parents.get(shard, ""))
        for shard in shards
    ]
    ends = [ControlEvent(ControlKind.SHARD_END, "orders", 2, shard=shard, ordinal=last[shard]) for shard in shards[:2]]
    return [*starts, *ends]


@dataclass(frozen=True)
class Found:
    """What verify says of the three topics."""

    findings: dict[str, Finding]
    lineages: dict[str, LineageFinding]
    changes: DifferenceFinding
    control: DifferenceFinding

    @property
    def holds(self) -> bool:
        parts = [*self.findings.values(), *self.lineages.values(), self.changes, self.control]
        return all(part.holds for part in parts)


class Topics:
    """Topics of three regions on one broker, written in transactions like the producer's, some of them aborted."""

    def __init__(self, bootstrap: str, make: Callable[..., str]) -> None:
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="test")
        self.changes = {region: make(PARTITIONS) for region in REGIONS}
        self.control = {region: make(1) for region in REGIONS}

    def write(self, faults: dict[str, Fault], *, told: dict[str, list[ControlEvent]] | None = None) -> None:
        """Write everything; a region's fault is done to its partition 1."""
        for region in REGIONS:
            producer = self.clients.transactional_producer(f"{self.changes[region]}-writer")
            producer.init_transactions(20)
            for number, row in rows().items():
                faulty = faults.get(region) if number == 1 else None
                self._write_row(producer, self.changes[region], number, faulty(row) if faulty else row)
            producer.begin_transaction()
            for event in (told or {}).get(region, control()):
                producer.produce(self.control[region], encode_control(event))
            producer.commit_transaction(20)

    def _write_row(self, producer: Producer, topic: str, partition: int, row: Row) -> None:
        for start in range(0, len(row), 40):
            for outcome in ("abort", "commit") if start == 40 else ("commit",):
                producer.begin_transaction()
                for key, value, headers in row[start : start + 40]:
                    producer.produce(topic, value, key, partition, headers=list(headers))
                producer.flush(20)
                (producer.abort_transaction if outcome == "abort" else producer.commit_transaction)(20)

    def judge(self) -> Found:
        """As `feed verify` does."""
        events, difference = read_control({r: TopicReader(self.clients, self.control[r]) for r in REGIONS})
        audit = TopicsAudit(
            {region: TopicReader(self.clients, self.changes[region]) for region in REGIONS},
            RecordReader(CODEC),
            EXPECTED,
        )
        audit.run()
        return Found(
            {finding.region: finding for finding in audit.findings()},
            {finding.region: finding for finding in audit.lineages(events)},
            audit.difference(),
            difference,
        )


@pytest.fixture
def topics(kafka_broker: KafkaBroker, kafka_topic: Callable[..., str]) -> Topics:
    return Topics(kafka_broker.bootstrap, kafka_topic)


def drop(row: Row) -> Row:
    return row[:10] + row[11:]


def double(row: Row) -> Row:
    return [*row, row[10]]


def swap(row: Row) -> Row:
    later = {key for key, _, _ in row[11:]}
    first = next(place for place in range(10, len(row)) if row[place][0] in later)
    second = next(place for place in range(first + 1, len(row)) if row[place][0] == row[first][0])
    row[first], row[second] = row[second], row[first]
    return row


def alter(row: Row) -> Row:
    key, value, headers = row[10]
    at = value.index(b"SKU-")
    row[10] = (key, value[:at] + b"s" + value[at + 1 :], headers)
    return row


def test_regions_that_hold_all_are_found_whole(topics: Topics) -> None:
    """All changes once, in order; bursts in full, ordinals dense, regions alike; aborted transactions are not seen."""
    topics.write({})
    found = topics.judge()
    assert found.holds, found
    assert {finding.found for finding in found.findings.values()} == {len(CHANGES)}
    assert {finding.bursts for finding in found.findings.values()} == {len(EXPECTED.bursts)}
    assert {(finding.shards, finding.ended) for finding in found.lineages.values()} == {(4, 2)}
    assert found.changes.compared == len(CHANGES)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    "fault, kind",
    [(drop, "missing"), (double, "duplicated"), (swap, "out of order"), (alter, "altered")],
)
def test_one_fault_in_one_region_is_caught(topics: Topics, region: str, fault: Fault, kind: str) -> None:
    """Dropped, doubled, swapped, one byte altered, in the topic of any region: found there, and as a difference."""
    topics.write({region: fault})
    found = topics.judge()
    for name, finding in found.findings.items():
        counted = finding.faults()[kind].count
        assert counted == (1 if name == region else 0), (name, finding)
    assert found.changes.differing.count >= 1
    by_ordinals = found.lineages[region].faults()
    if kind == "missing":
        assert by_ordinals["ordinals missing"].count == 1
    if kind == "duplicated":
        assert by_ordinals["ordinals duplicated"].count == 1


def test_a_shard_that_one_region_was_never_told_of_is_caught(topics: Topics) -> None:
    """A control event lost on its way: the region's lineage is broken, and the control topics differ."""
    topics.write({}, told={"ap": control()[1:]})
    found = topics.judge()
    assert found.lineages["ap"].skipped.count >= 1
    assert found.lineages["eu"].holds
    assert found.control.differing.count >= 1


def test_a_topic_that_is_not_there_is_an_error(topics: Topics) -> None:
    """A missing topic is said, not taken for an empty one."""
    with pytest.raises(FeedError, match="no-such-topic"):
        TopicReader(topics.clients, "no-such-topic").partitions()
