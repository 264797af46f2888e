"""A record of a topic in memory: what the client of a real cluster would hand out."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import KafkaError


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A record, or an event in place of one."""

    in_topic: str
    in_partition: int
    at_offset: int
    key_bytes: bytes | None = None
    value_bytes: bytes | None = None
    header_list: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int = 0
    event: KafkaError | None = None

    def topic(self) -> str:
        """See :class:`consumers.runtime.contracts.Record`, as for all that follow."""
        return self.in_topic

    def partition(self) -> int:
        """The partition's number."""
        return self.in_partition

    def offset(self) -> int:
        """Its place in the partition."""
        return self.at_offset

    def key(self) -> bytes | None:
        """The key's bytes."""
        return self.key_bytes

    def value(self) -> bytes | None:
        """The encoded change."""
        return self.value_bytes

    def headers(self) -> list[tuple[str, bytes]] | None:
        """A list of its own, as the real client gives."""
        return list(self.header_list)

    def timestamp(self) -> tuple[int, int]:
        """Type 1: the creator's time."""
        return (1, self.timestamp_ms)

    def error(self) -> KafkaError | None:
        """The event, when this is one."""
        return self.event
