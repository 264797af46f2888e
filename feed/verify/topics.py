"""Topics as evidence: every committed record, all regions side by side, partition by partition, without a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka import KafkaClients, error_of
from feed.verify.difference import Difference, DifferenceFinding
from feed.verify.evidence import Place, Seen
from feed.verify.expected import Expected
from feed.verify.judge import Finding, Judge
from feed.verify.lineage import Lineage, LineageFinding
from feed.verify.record import Headers, RecordReader, raw_digest
from schemas.control import ControlEvent, decode_control
from schemas.errors import FatalError
from schemas.marker import marker_of

BATCH: Final = 1_000
"""Records asked for at once, in each region."""

STALL_BOUND_S: Final = 20.0
"""How long a partition may yield neither a record nor its end."""

POLL_S: Final = 0.1


class TopicReader:
    """Reads one topic of one region from beginning to the end that it has when it is reached."""

    def __init__(self, clients: KafkaClients, topic: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clients, self._topic, self._clock_s = clients, topic, clock_s

    def partitions(self) -> int:
        """How many partitions the topic has.

        Raises:
            FatalError: there is no such topic.
        """
        try:
            metadata = self._clients.admin().list_topics(self._topic, timeout=STALL_BOUND_S).topics[self._topic]
        except KafkaException as error:
            raise error_of(error.args[0], f"asking for topic {self._topic}") from error
        if metadata.error is not None:
            raise error_of(metadata.error, f"asking for topic {self._topic}")
        return len(metadata.partitions)

    def batches(self, partition: int) -> Iterator[list[Message]]:
        """The committed records of one partition, in batches; an empty batch means "not now".

        Raises:
            FatalError: nothing came within :data:`STALL_BOUND_S`, though the partition's end was not reached.
        """
        consumer = self._clients.reader()
        try:
            consumer.assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING)])
            yield from self._until_end(consumer, partition)
        finally:
            consumer.close()

    def _until_end(self, consumer: Consumer, partition: int) -> Iterator[list[Message]]:
        moved_s = self._clock_s()
        while True:
            messages = consumer.consume(BATCH, POLL_S)
            records = [message for message in messages if message.error() is None]
            errors = [error for message in messages if (error := message.error()) is not None]
            yield records
            for error in errors:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name begins so
                    return
                raise error_of(error, f"reading {self._topic}[{partition}]")
            if records:
                moved_s = self._clock_s()
            elif self._clock_s() - moved_s > STALL_BOUND_S:
                raise FatalError(
                    f"{self._topic}[{partition}] gave neither a record nor its end for {STALL_BOUND_S:.0f} s",
                    hint="does an abandoned transaction hold readers back? see the broker's log",
                )

    def records(self) -> Iterator[Message]:
        """All partitions, one after another."""
        for partition in range(self.partitions()):
            for batch in self.batches(partition):
                yield from batch


def side_by_side(readers: Mapping[str, TopicReader], partition: int) -> Iterator[tuple[str, list[Message]]]:
    """One partition in every region, a batch from each in turn, so that none gets far ahead."""
    open_readers = {region: reader.batches(partition) for region, reader in readers.items()}
    while open_readers:
        for region in list(open_readers):
            batch = next(open_readers[region], None)
            if batch is None:
                del open_readers[region]
            else:
                yield region, batch


class TopicsAudit:
    """All regions' copies of the feed's topic: against the ledger, against their ordinals, and against each other."""

    def __init__(self, readers: Mapping[str, TopicReader], records: RecordReader, expected: Expected | None) -> None:
        self._readers, self._records = readers, records
        self._judges = {
            region: Judge(expected, Place("topic", region, bursts=True)) if expected is not None else None
            for region in readers
        }
        self._lineages = {region: Lineage() for region in readers}
        self._difference = Difference("changes", tuple(readers))
        self._found = dict.fromkeys(readers, 0)

    def run(self) -> None:
        """Read everything once."""
        counts = {region: reader.partitions() for region, reader in self._readers.items()}
        if len(set(counts.values())) > 1:
            raise FatalError(
                f"the topic has different partition counts: {counts}", hint="feed topics apply; see its refusals"
            )
        for partition in range(min(counts.values(), default=0)):
            for region, batch in side_by_side(self._readers, partition):
                for message in batch:
                    self._take(region, message)

    def findings(self) -> list[Finding]:
        """Against the ledger, by region; empty without a ledger."""
        return [judge.conclude() for judge in self._judges.values() if judge is not None]

    def lineages(self, control: Mapping[str, list[ControlEvent]]) -> list[LineageFinding]:
        """By ordinals, by region, each with its own region's control events."""
        return [
            lineage.conclude("topic", region, control.get(region, [])) for region, lineage in self._lineages.items()
        ]

    def difference(self) -> DifferenceFinding:
        """Between the regions."""
        return self._difference.conclude()

    def _take(self, region: str, message: Message) -> None:
        where = f"{region} {message.topic()}[{message.partition()}] offset {message.offset()}"
        if (marker := marker_of(message.key(), message.value(), _headers(message))) is not None:
            raw = raw_digest(message.key(), message.value(), _headers(message))
            self._difference.see(region, message.partition() or 0, marker.event_id, raw)
            return
        seen = self._records.read(message.key(), message.value(), _headers(message), where)
        judge = self._judges[region]
        if isinstance(seen, Seen):
            self._lineages[region].see(seen.shard, seen.ordinal)
            self._difference.see(region, message.partition() or 0, seen.event_id, seen.raw)
            if judge is not None:
                judge.see(seen)
        else:
            raw = raw_digest(message.key(), message.value(), _headers(message))
            self._difference.see(region, message.partition() or 0, f"unreadable {raw:016x}", raw)
            if judge is not None:
                judge.see_unreadable(seen)


def read_control(readers: Mapping[str, TopicReader]) -> tuple[dict[str, list[ControlEvent]], DifferenceFinding]:
    """The control topic of every region, decoded, and whether the regions agree on it."""
    difference = Difference("control", tuple(readers))
    events: dict[str, list[ControlEvent]] = {region: [] for region in readers}
    for region, reader in readers.items():
        for number, message in enumerate(reader.records()):
            value = message.value()
            raw = raw_digest(message.key(), value, _headers(message))
            # control events have no id of their own: their place in the partition is the same in every region
            difference.see(region, message.partition() or 0, f"event {number}", raw)
            if value is not None:
                events[region].append(decode_control(value))
    return events, difference.conclude()


def _headers(message: Message) -> Headers:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, content.encode() if isinstance(content, str) else content) for name, content in pairs]
