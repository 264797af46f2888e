"""Asks two clusters how a flow is: Connect's own topics at the target, and the source's partitions."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.kafka import KafkaClients, error_of
from mirrormaker.render.names import Names
from mirrormaker.status.flow import FlowStatus, PartitionState, copied_offsets, task_states
from mirrormaker.topology import Flow
from schemas.errors import ConfigError, PoisonError, RetryableError
from schemas.headers import facts_of

ASK_WITHIN_S = 20.0
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have no other name


def flow_status(
    flow: Flow, names: Names, *, source: KafkaClients, target: KafkaClients, now_ms: Callable[[], int]
) -> FlowStatus:
    """How a flow is now.

    Raises:
        ConfigError: a service names the topics itself, so they cannot be asked.
        FeedError: a cluster does not answer within its bound, or refuses.
    """
    if names.prefixes:
        raise ConfigError(
            "The service that runs this form names its topics itself.",
            hint="Ask the service; or run feed mirror audit.",
        )
    offsets_topic, _, status_topic = names.worker_topics
    at_target, at_source = target.reader(), source.reader()
    try:
        states = task_states(compacted(at_target, status_topic, now_ms))
        copied = copied_offsets(compacted(at_target, offsets_topic, now_ms), names.source_connector)
        partitions = [
            _partition(at_source, topic, number, copied.get((topic, number)), now_ms)
            for topic, count in _counts(at_source, flow.topics).items()
            for number in range(count)
        ]
    finally:
        at_target.close()
        at_source.close()
    return FlowStatus(flow.name, states, tuple(partitions))


def _counts(reader: Consumer, topics: tuple[str, ...]) -> dict[str, int]:
    known = reader.list_topics(timeout=ASK_WITHIN_S).topics
    return {topic: len(known[topic].partitions) for topic in topics if topic in known}


def compacted(reader: Consumer, topic: str, now_ms: Callable[[], int]) -> dict[bytes, bytes | None]:
    """Key → last value of a small compacted topic; empty when there is none."""
    count = _counts(reader, (topic,)).get(topic, 0)
    if not count:
        return {}
    reader.assign([TopicPartition(topic, number, 0) for number in range(count)])
    found: dict[bytes, bytes | None] = {}
    ended: set[int] = set()
    deadline_ms = now_ms() + round(ASK_WITHIN_S * 1000)
    while len(ended) < count:
        if now_ms() > deadline_ms:
            raise RetryableError(f"{topic} was not read to its end.", hint="The cluster is slow or away; ask again.")
        for message in reader.consume(500, 0.2):
            error = message.error()
            if error is None:
                found[_bytes(message.key()) or b""] = _bytes(message.value())
            elif error.code() == _END_OF_PARTITION:
                ended.add(message.partition() or 0)
            else:
                raise error_of(error, f"reading {topic}")
    return found


def _partition(
    reader: Consumer, topic: str, number: int, copied_to: int | None, now_ms: Callable[[], int]
) -> PartitionState:
    low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_WITHIN_S)
    begin = max(low, copied_to + 1 if copied_to is not None else low)
    waiting = _first_from(reader, topic, number, begin, now_ms) if begin < high else None
    return PartitionState(
        topic=topic,
        partition=number,
        copied_to=copied_to,
        source_end=high,
        waits=waiting is not None,
        waiting_ms=max(0, now_ms() - captured_ms(waiting)) if waiting is not None else 0,
    )


def _first_from(reader: Consumer, topic: str, number: int, begin: int, now_ms: Callable[[], int]) -> Message | None:
    """The first committed record from an offset on; None: only transactions' marks lie there."""
    reader.assign([TopicPartition(topic, number, begin)])
    deadline_ms = now_ms() + round(ASK_WITHIN_S * 1000)
    while now_ms() < deadline_ms:
        for message in reader.consume(1, 0.2):
            error = message.error()
            if error is None:
                return message
            if error.code() == _END_OF_PARTITION:
                return None
            raise error_of(error, f"reading {topic}/{number}")
    raise RetryableError(
        f"{topic}/{number} was not read within its bound.", hint="The cluster is slow or away; ask again."
    )


def captured_ms(message: Message) -> int:
    """When the feed captured the change; of another topic's record, its timestamp."""
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    try:
        return facts_of((name, _bytes(text)) for name, text in pairs).captured_at_ms
    except PoisonError:
        return int(message.timestamp()[1])


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content
