"""The ends of a partition as a reader of committed records sees them, whatever transactions left behind."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.clients import error_of
from schemas.errors import RetryableError

FIRST_STEP: Final = 8
"""Offsets looked at behind the end at first; eight times as many at each further look: markers and aborted records hide
the last record."""

NOT_YET_WAIT_S: Final = 0.2

_NOT_YET: Final = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 (as below)
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
    }
)
"""A topic that was made a moment ago is not known to every broker yet."""

_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's own codes begin with an underscore)


def last_record(reader: Consumer, topic: str, partition: int, *, bound_s: float) -> Message | None:
    """The last committed record of a partition; None when it has none.

    Args:
        reader: from ``KafkaClients.reader()``; its assignment is replaced.
        topic: the topic.
        partition: the partition's number.
        bound_s: how long it may take in all.

    Raises:
        RetryableError: the cluster does not answer in time, or an open transaction holds the end back.
        FatalError: it refuses.
    """
    deadline = time.monotonic() + bound_s
    low, high = watermarks(reader, topic, partition, bound_s=bound_s)
    step, at = FIRST_STEP, high
    while at > low:
        at = max(low, high - step)
        step *= 8
        found = _last_from(reader, TopicPartition(topic, partition, at), deadline)
        if found is not None:
            return found
    return None


def first_record(reader: Consumer, topic: str, partition: int, offset: int, *, bound_s: float) -> Message | None:
    """The first committed record at or behind ``offset``; None when there is none. Arguments and errors as above."""
    deadline = time.monotonic() + bound_s
    reader.assign([TopicPartition(topic, partition, offset)])
    try:
        while True:
            message = _next(reader, topic, partition, deadline)
            error = message.error()
            if error is None:
                return message
            if error.code() == _END:
                return None
    finally:
        reader.unassign()


def watermarks(reader: Consumer, topic: str, partition: int, *, bound_s: float) -> tuple[int, int]:
    """Earliest offset and end of a partition. Errors as above."""
    deadline = time.monotonic() + bound_s
    while True:
        try:
            span = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=bound_s)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                raise error_of(error.args[0], f"asking for the ends of {topic}[{partition}]") from error
            time.sleep(NOT_YET_WAIT_S)
            continue
        if span is None:
            raise _silent(topic, partition)
        return span


def _last_from(reader: Consumer, place: TopicPartition, deadline: float) -> Message | None:
    last: Message | None = None
    reader.assign([place])
    try:
        while True:
            message = _next(reader, place.topic, place.partition, deadline)
            error = message.error()
            if error is None:
                last = message
            elif error.code() == _END:
                return last
    finally:
        reader.unassign()


def _next(reader: Consumer, topic: str, partition: int, deadline: float) -> Message:
    """The next record or end. Raises when there is neither in time."""
    while (left := deadline - time.monotonic()) > 0:
        message = reader.poll(min(left, 0.5))
        if message is None:
            continue
        error = message.error()
        if error is None or error.code() == _END:
            return message
        if not error.retriable() and error.fatal():
            raise error_of(error, f"reading {topic}[{partition}]")
    raise _silent(topic, partition)


def _silent(topic: str, partition: int) -> RetryableError:
    return RetryableError(
        f"{topic}[{partition}] gave neither a record nor its end in time",
        hint="the leader may be moving, or an open transaction holds readers back; it is tried again",
    )
