"""The ports to Kafka that only listen: the follower of the positions topic, and the membership in the group."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka import KafkaClients, error_of
from producers.stream.ports import Assignment
from producers.stream.positions_topic import COMPLETE_KEY, MOVED_KEY, moved_error, positions_name
from producers.stream.settings import ProducerSettings
from producers.stream.view import SNAPSHOT
from schemas.snapshot import snapshot_topic

_NEVER_MENDED = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
"""What was not read yet is gone from a compacted topic: somebody deleted records of it."""

_log = logging.getLogger(__name__)


class _Trouble:
    """Errors that a consumer's poll hands out: fatal ones raise, others are logged when they change."""

    def __init__(self) -> None:
        self._last: int | None = None

    def tell(self, fault: KafkaError, doing: str) -> None:
        known = error_of(fault, doing)
        # an unknown topic or a missing permission may be mended while this runs: the client goes on asking
        if fault.fatal() or fault.code() in _NEVER_MENDED:
            raise known
        if fault.code() != self._last:
            self._last = fault.code()
            _log.warning("consumer in trouble error=%s hint=%s", known, known.hint)


class KafkaFollower:
    """Reads all partitions of the positions topic, and the snapshot topic, from their beginning on."""

    def __init__(self, clients: KafkaClients, feed: str, slots: int, *, version: int = 1) -> None:
        self._reader = clients.reader()
        self._trouble = _Trouble()
        self._topic = positions_name(feed, version)
        self._snapshot = snapshot_topic(feed)
        followed = [(self._topic, slot) for slot in range(slots)] + [(self._snapshot, 0)]
        self._reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in followed])

    def poll(self, timeout_ms: int) -> Sequence[tuple[int, bytes, bytes | None]]:
        """See :class:`producers.stream.ports.Follower`. Raises FatalError when the positions have moved."""
        entries = []
        first = self._reader.poll(timeout_ms / 1_000)
        rest = self._reader.consume(1_000, 0) if first is not None else []
        for message in ([first] if first is not None else []) + rest:
            fault = message.error()
            if fault is None:
                key, value = message.key() or b"", message.value()
                if message.topic() == self._snapshot:
                    entries.append((SNAPSHOT, key, value))
                    continue
                if key == MOVED_KEY and value is not None:
                    raise moved_error(self._topic, value)
                if key != COMPLETE_KEY:
                    entries.append((message.partition() or 0, key, value))
            elif fault.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (as above)
                self._trouble.tell(fault, "following the positions topic")
        return entries

    def close(self) -> None:
        """See :class:`producers.stream.ports.Follower`."""
        self._reader.close()


class KafkaGroup:
    """A member of the workers' group; its callbacks only post to a queue."""

    def __init__(self, clients: KafkaClients, feed: str, settings: ProducerSettings, *, version: int = 1) -> None:
        self._topic = positions_name(feed, version)
        self._events: deque[Assignment] = deque()
        self._trouble = _Trouble()
        self._consumer = clients.group_consumer(
            f"{feed}.producer", protocol=settings.group_protocol, session_timeout_ms=settings.session_timeout_ms
        )
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # nothing is fetched through the group: the follower reads the topic, and each slot its own partition
        at_end = [TopicPartition(self._topic, p.partition, OFFSET_END) for p in partitions]
        try:
            consumer.incremental_assign(at_end)
            consumer.pause(at_end)
        except KafkaException as error:
            # a callback must not raise; a membership that is broken shows in the next poll
            _log.warning("assignment not taken over slots=%s error=%s", [p.partition for p in partitions], error)
            return
        self._events.append(Assignment(tuple(p.partition for p in partitions), given=True))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:  # noqa: ARG002 (the client's signature)
        self._events.append(Assignment(tuple(p.partition for p in partitions), given=False))

    def poll(self, timeout_ms: int) -> Sequence[Assignment]:
        """See :class:`producers.stream.ports.Group`."""
        message = self._consumer.poll(timeout_ms / 1_000)
        if message is not None and (fault := message.error()) is not None:
            self._trouble.tell(fault, "being a member of the producers' group")
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """See :class:`producers.stream.ports.Group`."""
        self._consumer.close()
