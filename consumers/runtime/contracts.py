"""The two contracts of a sink, and the record they share.

A sink is a page of code with no Kafka client in it. The runtime fetches, decodes, keeps order, retries, commits and
reports; a sink only says what a change does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from confluent_kafka import KafkaError

from schemas.change import Change
from schemas.errors import RetryableError
from schemas.marker import SnapshotMarker


class Record(Protocol):
    """A fetched record. The methods are those of ``confluent_kafka.Message``: no copy is made of a million of them."""

    def topic(self) -> str:
        """The topic it was fetched from."""
        ...

    def partition(self) -> int:
        """The partition's number."""
        ...

    def offset(self) -> int:
        """Its place in the partition; transaction markers leave holes between records."""
        ...

    def key(self) -> bytes | None:
        """The canonical bytes of the item's key."""
        ...

    def value(self) -> bytes | None:
        """The encoded change; None is a tombstone, or without a key too the marker of a complete snapshot."""
        ...

    def headers(self) -> list[tuple[str, bytes]] | None:
        """CloudEvents headers, see :mod:`schemas.headers`."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """``(timestamp type, milliseconds since the epoch)``."""
        ...


class Fetched(Record, Protocol):
    """What a client hands out: a record, or the news that one cannot be had."""

    def error(self) -> KafkaError | None:
        """Why there is no record here; None when there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition by an identity that survives nothing it should not: a topic made anew has another ``topic_id``."""

    cluster_id: str
    topic_id: str
    topic: str
    number: int


@runtime_checkable
class RecordSink(Protocol):
    """Acts on single changes: parallel by key, ordered within a key."""

    name: str

    def handle(self, change: Change) -> None:
        """Make the change's effect durable before returning; idempotent by ``change.source`` and ``change.version``.

        Raises:
            NotYetError: asked again at that time; it is no failure, and other keys go on.
            RetryableError: the key is parked and tried again, later records of other keys go on.
            PoisonError: the record goes to the dead letters with this reason.
            FatalError: the consumer stops; the position stays.
        """
        ...


@runtime_checkable
class SelectiveSink(Protocol):
    """A record sink that must never see some records, whoever wires it (replays, for a sink that tells customers)."""

    def passes_over(self, record: Record) -> str | None:
        """Why this record is passed over and counted, undecoded; None when it is to be handled."""
        ...


@runtime_checkable
class SnapshotSink(Protocol):
    """A record sink that wants to know when a first load or a reload is complete.

    A batch sink needs nothing of the kind: it is given the marker in its place among the records
    (:func:`schemas.marker.marker_of` knows it).
    """

    def snapshot_complete(self, marker: SnapshotMarker) -> bool:
        """Every record of the partition before the marker has its durable effect: what the scan did not see is gone.

        Called again after a crash, hence idempotent; later records of the partition may be handled meanwhile.

        Returns:
            True when it is done; False to be called again at once: a long piece of work is done in short ones, so that
            the consumer stays a member of its group.

        Raises:
            RetryableError: called again after a back-off.
            FatalError: the consumer stops; the position stays before the marker.
        """
        ...


class NotYetError(RetryableError):
    """Nothing is wrong, it is too early: the key waits until ``due_ms`` without a retry being counted."""

    def __init__(self, due_ms: int) -> None:
        super().__init__(f"waits until {due_ms}", hint="nothing is wrong")
        self.due_ms = due_ms


@runtime_checkable
class ForesightedSink(Protocol):
    """A record sink that wants to know what waits behind a change of the same key."""

    def handle_before(self, change: Change, later: Callable[[], Sequence[Change]]) -> None:
        """As :meth:`RecordSink.handle`, which is not called then.

        Args:
            change: the change to act on; those behind it are handled afterwards, each in its turn.
            later: the changes of the same key that were fetched already, in order; what cannot be decoded, and what the
                sink passes over, is left out.

        Raises:
            NotYetError: ask again at that time; more may have been fetched by then.
        """
        ...


class PartitionWriter(Protocol):
    """One partition during one assignment of a batch sink; all calls on one thread."""

    def add(self, records: Sequence[Record]) -> None:
        """Take records of this partition, offsets ascending. Buffers are bounded: it may upload to make room.

        Raises:
            RetryableError: the partition pauses; after a back-off the same records are given again. So take nothing
                before raising, or pass over what is already taken (an offset below the next one expected).
            PoisonError: one of the records can never work. They are given again one by one (what is already taken is
                passed over, as above); the one that raises on its own goes to the dead letters, and is not given again.
            FatalError: the consumer stops; the position stays.
        """
        ...

    def tick(self, now_ms: int) -> None:
        """Called at least every second: close what is due by time. Retryable and fatal errors as in :meth:`add`."""
        ...

    def flush(self, within_ms: int | None = None) -> None:
        """Make all that was taken durable (graceful stop, revoke). After a retryable error :meth:`durable` decides.

        Within ``within_ms`` when it is given: others wait for these partitions. A store that hangs must not hold
        them: raise RetryableError at the bound; what lands later is found by the next owner.
        """
        ...

    def durable(self) -> int:
        """The offset that may be committed: the lowest whose record is not yet durable, else the next one expected."""
        ...

    def close(self) -> None:
        """Forget the assignment; without a :meth:`flush` before it, what is not durable is dropped (partition lost)."""
        ...


@runtime_checkable
class PositionWriter(Protocol):
    """What a writer has besides when its sink keeps the next offset in a ledger of its own."""

    def reached(self, position: int) -> None:
        """Everything before ``position`` was taken or holds no record: transaction markers, aborted records.

        A ledger must follow, and not stop behind the last record: once retention has deleted what lies between, it
        would look like a gap though nothing was lost.
        """
        ...


class BatchSink(Protocol):
    """Acts on batches; closes them by record content or by time."""

    name: str

    def open(self, partition: Partition, committed: int) -> tuple[int, PartitionWriter]:
        """A partition was assigned; ``committed`` is the next offset by Kafka's commit (the earliest of a new group).

        Called on the loop's thread before the partition is fetched, never inside a callback of the client.

        Returns:
            The offset to read from (a sink with a ledger of its own answers from that) and the writer.

        Raises:
            RetryableError: tried again after a back-off while the partition stays assigned.
            FatalError: the consumer stops; the position stays.
        """
        ...
