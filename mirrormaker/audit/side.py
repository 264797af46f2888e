"""One side of an audit: a cluster's partitions, read in order by assignment, with where they end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)

from connectors.kafka import KafkaClients, error_of, topic_id_text
from mirrormaker.audit.comparison import Print, fingerprint
from schemas.errors import FeedError, RetryableError

_log = logging.getLogger(__name__)

# librdkafka's own codes have no other name
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001
_OFFSET_GONE = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001

_GONE_FOR_NOW = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)  # noqa: SLF001

BATCH = 500
ASK_WITHIN_S = 20.0
FIRST_WAIT_S = 0.2


class Partition(NamedTuple):
    """A partition of a topic; the same on both sides."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True)
class Trim:
    """Offsets that are gone: they were wanted, and the log begins later."""

    partition: Partition
    wanted: int
    begins: int


class Side:
    """Reads committed records of some partitions; belongs to no group and commits nothing.

    ``witness``, where it is set, is shown every record as it comes.
    """

    def __init__(self, name: str, clients: KafkaClients) -> None:
        self.name = name
        self.witness: Callable[[Message], None] | None = None
        self._reader: Consumer = clients.reader()
        self._admin = clients.admin()  # kept: an answer is lost when its client is gone
        self._ended: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._gone: set[Partition] = set()
        self._fault: FeedError | None = None

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Topic → its id; a topic made anew has another. Absent topics are absent.

        Raises:
            FeedError: the cluster does not answer, or refuses.
        """
        answers = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ASK_WITHIN_S)
        found = {}
        for topic, answer in answers.items():
            try:
                found[topic] = topic_id_text(answer.result(ASK_WITHIN_S).topic_id)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise error_of(error.args[0], f"describing {topic} at {self.name}") from error
        return found

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Topic → number of partitions; absent topics are absent."""
        try:
            known = self._reader.list_topics(timeout=ASK_WITHIN_S).topics
        except KafkaException as error:
            raise error_of(error.args[0], f"listing topics at {self.name}") from error
        return {topic: len(known[topic].partitions) for topic in topics if topic in known}

    def watermarks(self, partition: Partition) -> tuple[int, int]:
        """First offset, and the one after the last."""
        try:
            low, high = self._reader.get_watermark_offsets(_tp(partition), timeout=ASK_WITHIN_S)
        except KafkaException as error:
            raise error_of(error.args[0], f"asking where {partition} ends at {self.name}") from error
        return low, high

    def start(self, offsets: Mapping[Partition, int | None]) -> None:
        """Read these partitions from these offsets; None: from the first there is."""
        self._ended.clear()
        self._paused.clear()
        self._gone.clear()
        self._fault = None
        self._next = {partition: offset or 0 for partition, offset in offsets.items()}
        self._reader.assign(
            [_tp(partition, OFFSET_BEGINNING if offset is None else offset) for partition, offset in offsets.items()]
        )

    def first_records(self, partitions: Iterable[Partition]) -> dict[Partition, Message | None]:
        """The oldest committed record of each partition; None: it has none now. To be asked before ``start``.

        Raises:
            RetryableError: the cluster does not answer within the bound.
        """
        waiting = set(partitions)
        found: dict[Partition, Message | None] = {}
        self._reader.assign([_tp(partition, OFFSET_BEGINNING) for partition in waiting])
        calls = int(ASK_WITHIN_S / FIRST_WAIT_S)
        while waiting and calls:
            calls -= 1
            for message in self._reader.consume(BATCH, FIRST_WAIT_S):
                partition = Partition(message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None and error.code() != _END_OF_PARTITION:
                    raise error_of(error, f"reading {partition} at {self.name}")
                if partition in waiting:
                    waiting.discard(partition)
                    found[partition] = message if error is None else None
        if waiting:
            raise RetryableError(
                f"{len(waiting)} partitions were not read at {self.name}.", hint="The cluster is slow or away."
            )
        return found

    def read(self, wait_s: float) -> tuple[dict[Partition, list[Print]], list[Trim]]:
        """What came within ``wait_s``, by partition in order, and where offsets turned out to be gone.

        A batch is handed out whole: an error in it is raised by the next call, since its records are not read again.

        Raises:
            RetryableError: the cluster or a topic is away; the next call may work.
        """
        self._raise_fault()
        prints: dict[Partition, list[Print]] = {}
        for message in self._reader.consume(BATCH, wait_s):
            partition = Partition(message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                self._ended.discard(partition)
                self._next[partition] = (message.offset() or 0) + 1
                if self.witness is not None:
                    self.witness(message)
                prints.setdefault(partition, []).append(_print(message))
            elif error.code() == _END_OF_PARTITION:
                self._ended.add(partition)
            elif error.code() == _OFFSET_GONE:
                self._gone.add(partition)
            else:
                self._fault = self._fault or self._fault_of(partition, error)
        trims = self._begin_again()
        if not prints and not trims:
            self._raise_fault()
        return prints, trims

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _fault_of(self, partition: Partition, error: KafkaError) -> FeedError:
        if error.code() in _GONE_FOR_NOW:
            return RetryableError(
                f"{partition} is not there at {self.name}.", hint="The topic was deleted; it is asked for again."
            )
        return error_of(error, f"reading {partition} at {self.name}")

    def has_read_to(self, partition: Partition, offset: int) -> bool:
        """Every committed record below an offset was read."""
        return self._next.get(partition, 0) >= offset or partition in self._ended

    def has_ended(self, partition: Partition) -> bool:
        """Everything committed so far was read."""
        return partition in self._ended

    def hold(self, partition: Partition, *, held: bool) -> None:
        """Stop reading a partition while the other side is behind, and go on."""
        if held and partition not in self._paused:
            self._reader.pause([_tp(partition)])
            self._paused.add(partition)
        elif not held and partition in self._paused:
            self._reader.resume([_tp(partition)])
            self._paused.discard(partition)

    def close(self) -> None:
        """Free the connection."""
        self._reader.close()

    def _begin_again(self) -> list[Trim]:
        """Wanted offsets are gone: go on at the first there are, and say so.

        A cluster that does not say which these are is asked again by the next call.
        """
        trims: list[Trim] = []
        for partition in sorted(self._gone):
            try:
                low, _ = self.watermarks(partition)
            except RetryableError as error:
                self._fault = self._fault or error
                break
            trim = Trim(partition, self._next.get(partition, 0), low)
            _log.warning(
                "offsets gone side=%s partition=%s wanted=%s begins=%s", self.name, partition, trim.wanted, low
            )
            self._next[partition] = low
            # a partition whose offset is gone is in error and cannot be sought: it is taken anew
            self._reader.incremental_unassign([_tp(partition)])
            self._reader.incremental_assign([_tp(partition, low)])
            self._gone.discard(partition)
            self._paused.discard(partition)
            trims.append(trim)
        return trims


def _print(message: Message) -> Print:
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    digest = fingerprint(_bytes(message.key()), _bytes(message.value()), [(name, _bytes(text)) for name, text in pairs])
    return Print(digest, message.offset() or 0)


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _tp(partition: Partition, offset: int | None = None) -> TopicPartition:
    if offset is None:
        return TopicPartition(partition.topic, partition.number)
    return TopicPartition(partition.topic, partition.number, offset)
