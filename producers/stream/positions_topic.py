"""Which topic holds a feed's positions: ``<feed>.positions``, or after a resize the newest version that is complete.

A resize of the slots copies all positions into ``<feed>.positions.v2`` (then ``.v3`` …). Two records tell of it:

* ``@complete`` in partition 0 of the new topic stands in the one transaction that copied everything: a version without
  it was begun and never finished, and nobody takes it for the feed's.
* ``@moved`` in every partition of the old topic was written before the copy, each under its slot's transactional id.
  So whoever wrote for the slot before is fenced, and whoever takes it later reads ``@moved`` before it may write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka import KafkaClients, error_of
from schemas.errors import ConfigError, FatalError, RetryableError

MOVED_KEY = b"@moved"
COMPLETE_KEY = b"@complete"
METADATA_BOUND_S = 20.0
LOOK_BOUND_S = 30.0


@dataclass(frozen=True, slots=True)
class PositionsTopic:
    """One version of a feed's positions topic."""

    feed: str
    version: int
    slots: int

    @property
    def name(self) -> str:
        """The topic's name."""
        return positions_name(self.feed, self.version)


def positions_name(feed: str, version: int) -> str:
    """Name of a version of the positions topic."""
    return f"{feed}.positions" if version == 1 else f"{feed}.positions.v{version}"


def slot_id(feed: str, version: int, slot: int) -> str:
    """The transactional id of a slot: each version has its own, so a worker of an old one disturbs nobody."""
    return f"{feed}.slot-{slot}" if version == 1 else f"{feed}.v{version}.slot-{slot}"


def marker(topic: PositionsTopic, at_ms: int) -> bytes:
    """The value of ``@moved`` (where to) and of ``@complete`` (this one)."""
    return orjson.dumps({"v": 1, "to": topic.name, "slots": topic.slots, "at_ms": at_ms})


def moved_error(topic: str, value: bytes) -> FatalError:
    """The error for whoever finds ``@moved``."""
    to: Any = orjson.loads(value).get("to", "another topic")
    return FatalError(
        f"the positions have moved from {topic} to {to}: a `feed slots resize` was begun",
        hint="start this worker again; if it finds the same, the resize did not finish: run `feed slots resize` again",
    )


def versions_of(feed: str, partitions: dict[str, int]) -> list[PositionsTopic]:
    """The versions among a cluster's topics (name → partitions), oldest first."""
    pattern = re.compile(rf"{re.escape(feed)}\.positions(?:\.v([2-9]|[1-9][0-9]+))?\Z")
    found = [(match, count) for name, count in partitions.items() if (match := pattern.match(name))]
    return sorted(
        (PositionsTopic(feed, int(match[1] or 1), count) for match, count in found), key=lambda topic: topic.version
    )


def list_versions(clients: KafkaClients, feed: str) -> list[PositionsTopic]:
    """All versions that exist, complete or not, oldest first.

    Raises:
        ConfigError: there is none.
        RetryableError, FatalError: the cluster does not answer.
    """
    try:
        topics = clients.admin().list_topics(timeout=METADATA_BOUND_S).topics
    except KafkaException as error:
        raise error_of(error.args[0], "listing topics") from error
    found = versions_of(feed, {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None})
    if not found:
        raise ConfigError(
            f"there is no topic {positions_name(feed, 1)}", hint="create the feed's topics: feed topics apply"
        )
    return found


def find_positions(clients: KafkaClients, feed: str) -> PositionsTopic:
    """The newest complete version.

    Raises:
        ConfigError: there is no positions topic at all.
        RetryableError, FatalError: the cluster does not answer.
    """
    for topic in reversed(list_versions(clients, feed)):
        if topic.version == 1 or _is_complete(clients, topic):
            return topic
    raise ConfigError(
        f"only unfinished copies of the positions of {feed} exist",
        hint=f"{positions_name(feed, 1)} was deleted: the feed begins anew when `feed topics apply` creates it",
    )


def _is_complete(clients: KafkaClients, topic: PositionsTopic) -> bool:
    """Whether the copy's own record stands in it, committed. Read once, when a worker starts."""
    reader: Consumer = clients.reader()
    partition = TopicPartition(topic.name, 0)
    try:
        begin, _ = reader.get_watermark_offsets(partition, timeout=METADATA_BOUND_S)
        reader.assign([TopicPartition(topic.name, 0, begin)])
        while True:
            message = reader.poll(LOOK_BOUND_S)
            if message is None:
                raise RetryableError(f"{topic.name} does not answer", hint="the cluster is busy or away; try again")
            fault = message.error()
            if fault is None:
                if message.key() == COMPLETE_KEY and message.value() is not None:
                    return True
            elif fault.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
                return False
            elif not fault.retriable():
                raise error_of(fault, f"reading {topic.name}")
    except KafkaException as error:
        raise error_of(error.args[0], f"reading {topic.name}") from error
    finally:
        reader.close()
