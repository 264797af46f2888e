"""The port to Kafka of a snapshot: the one partition of its topic, written under its own transactional id."""

from __future__ import annotations

from connectors.kafka import KafkaClients
from producers.stream.kafka_log import KafkaLog
from producers.stream.settings import ProducerSettings
from schemas.snapshot import snapshot_topic


class KafkaSnapshotLog(KafkaLog):
    """A log with one slot, 0: ``take`` fences any other run, ``read_back`` gives what stands in ``<feed>.snapshot``."""

    def __init__(self, clients: KafkaClients, feed: str, settings: ProducerSettings) -> None:
        super().__init__(clients, feed, settings)
        self._topic = snapshot_topic(feed)

    def read_back(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """See :class:`producers.stream.ports.Log`. All of it: in this topic ``@complete`` is no word about a resize."""
        return self.entries(slot)

    def _transactional_id(self, slot: int) -> str:  # noqa: ARG002 (there is one)
        return self._topic
