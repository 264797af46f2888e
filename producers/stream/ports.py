"""What a worker needs of the world, as protocols: production has Kafka and AWS behind them, a simulation has models.

Only what slots use is here, so that a model of it fits on a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.dynamodb_streams import IteratorSpec, Listing, Page, StreamStatus
from schemas.errors import RetryableError

Headers = Sequence[tuple[str, bytes]]


class BatchAbortedError(RetryableError):
    """The transaction did not, or cannot, commit; nothing of it will be seen: abort, go back to the saved positions."""


class SlotLostError(RetryableError):
    """The slot's producer is fenced or broken: close it; while the group still assigns the slot, take it anew."""


class SlotLog(Protocol):
    """The one producer that may write for a slot, until another takes it."""

    def begin(self) -> None:
        """Open a transaction. Raises SlotLostError."""
        ...

    def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int,
        *,
        partition: int = -1,
    ) -> None:
        """Add a record to the open transaction; partition -1 lets the key choose. Raises as ``commit``."""
        ...

    def save(self, key: bytes, value: bytes | None, timestamp_ms: int) -> None:
        """Add a record of the slot's own partition of the positions topic; raises as ``publish``."""
        ...

    def commit(self) -> None:
        """All records of the transaction become readable at once, or none. Raises BatchAbortedError, SlotLostError."""
        ...

    def abort(self) -> None:
        """Nothing of the open transaction is ever read. Raises SlotLostError."""
        ...

    def close(self) -> None:
        """Leave; an open transaction is left to the next owner's init, or to its time-out."""
        ...


class Log(Protocol):
    """Kafka, as slots see it."""

    def slots(self) -> int:
        """Partitions of the positions topic."""
        ...

    def take(self, slot: int) -> SlotLog:
        """Fence whoever has the slot and end its transaction (``init_transactions``). Raises RetryableError."""
        ...

    def read_back(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """The slot's partition, read_committed, up to the high watermark of now.

        Raises RetryableError; FatalError when a transaction hangs below it.
        """
        ...


class Follower(Protocol):
    """Reads the whole positions topic, read_committed, from its beginning on."""

    def poll(self, timeout_ms: int) -> Sequence[tuple[int, bytes, bytes | None]]:
        """What came since: slot, key, value."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the group said: slots given to this worker, or taken from it."""

    slots: tuple[int, ...]
    given: bool


class Group(Protocol):
    """The workers' group, subscribed to the positions topic."""

    def poll(self, timeout_ms: int) -> Sequence[Assignment]:
        """What happened since, in order. Raises FatalError when the membership is broken for good."""
        ...

    def close(self) -> None:
        """Leave at once, so that others take over without waiting for the session to time out."""
        ...


class Stream(Protocol):
    """DynamoDB Streams, as workers see it: :class:`connectors.dynamodb_streams.StreamClient`."""

    def status(self, table: str) -> StreamStatus:
        """The table's newest stream."""
        ...

    def list_shards(self, stream: str) -> Listing:
        """All pages of DescribeStream."""
        ...

    def children(self, stream: str, shard: str) -> Listing:
        """The children of an ended shard, where the service tells them."""
        ...

    def iterator(self, stream: str, shard: str, spec: IteratorSpec) -> str:
        """A new iterator."""
        ...

    def records(self, token: str, limit: int) -> Page:
        """One page."""
        ...


class Pool(Protocol):
    """Runs reads beside the slots' threads, a bounded number at once."""

    def submit(self, job: Callable[[], None]) -> None:
        """Run it some time soon; it reports by itself and raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, passed in."""

    now_ms: Callable[[], int]
    """The time of day."""
    steady_ms: Callable[[], int]
    """A clock that never jumps, for pauses."""
    random: Callable[[], float]
    """In [0, 1)."""
