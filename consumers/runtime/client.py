"""What the loop needs of a Kafka client, so that the same loop runs on memory and on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, TopicPartition

from consumers.runtime.contracts import Fetched, Record

Callback = Callable[[Any, list[TopicPartition]], None]
"""``(client, partitions)``, called inside :meth:`GroupClient.poll`; it must never raise."""

CommitCallback = Callable[[KafkaError | None, list[TopicPartition]], None]
"""What became of a commit, called inside :meth:`GroupClient.poll`; it must never raise."""


class GroupClient(Protocol):
    """A member of a group: the part of ``confluent_kafka.Consumer`` that the loop uses. One thread only."""

    def subscribe(self, topics: list[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        """Join the group."""
        ...

    def poll(self, timeout: float) -> Fetched | None:
        """Wait at most ``timeout`` seconds for one record or event; runs the callbacks."""
        ...

    def consume(self, num_messages: int, timeout: float) -> Sequence[Fetched]:
        """At most so many records and events. It waits for the *whole* number, so it is asked with time-out 0."""
        ...

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The group's offsets; a negative offset means none, unless the partition has an ``error``."""
        ...

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = ..., *, cached: bool = ...
    ) -> tuple[int, int] | None:
        """Earliest offset and end of a partition."""
        ...

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these too, from their offsets."""
        ...

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these no more."""
        ...

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Fetch these later."""
        ...

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Fetch these again."""
        ...

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> Any:
        """Commit these offsets; asynchronously the commit callback tells, else each returned partition's ``error``."""
        ...

    def close(self) -> None:
        """Leave the group; runs the revoke callback."""
        ...


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """A topic that cannot be taken for another one of the same name."""

    cluster_id: str
    topic_id: str
    topic: str
    partitions: int


class Broker(Protocol):
    """A cluster, as far as a consumer needs one."""

    def join(self, group: str, on_commit: CommitCallback) -> GroupClient:
        """A new member of the group, not yet subscribed; it tells the end of partitions."""
        ...

    def identify(self, topic: str, timeout_s: float) -> TopicIdentity:
        """Who the topic is.

        Raises:
            ConfigError: there is no such topic.
            RetryableError: the cluster did not answer in time.
        """
        ...

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], timeout_s: float
    ) -> None:
        """Write one record and wait until it is durable.

        Raises:
            RetryableError: it may or may not be written; write it again.
            FatalError: it can never be written.
        """
        ...

    def last_record(self, topic: str, partition: int, timeout_s: float) -> Record | None:
        """The last committed record of a partition, whoever reads it; None when it has none.

        Raises:
            RetryableError: the cluster did not answer in time.
        """
        ...

    def group_offset(self, group: str, topic: str, partition: int, timeout_s: float) -> int | None:
        """What any group has committed; None when nothing.

        Raises:
            RetryableError: the cluster did not answer in time.
        """
        ...

    def close(self) -> None:
        """Free what :meth:`append` used."""
        ...
