"""What a sink's records go through, as the loop sees it: the same five questions for both kinds of sinks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from consumers.runtime.contracts import Partition, Record
from consumers.runtime.pressure import Load
from schemas.errors import RetryableError


class SinkHangsError(RetryableError):
    """The sink has not answered yet; no failure is counted, and it is asked again once it has."""

    def __init__(self, what: str) -> None:
        super().__init__(what, hint="is what the sink writes to up and reachable?")


class Flow(Protocol):
    """State per partition and per assignment. All calls on the loop's thread."""

    def open(self, partition: Partition, committed: int) -> int:
        """A partition was assigned. Returns the offset to read from; errors as in :class:`BatchSink.open`.

        Raises:
            SinkHangsError: there is no answer yet.
        """
        ...

    def accept(self, partition: int, records: Sequence[Record]) -> None:
        """Take records of one partition, offsets ascending. Raises FatalError only."""
        ...

    def reached(self, partition: int, position: int) -> None:
        """The client has handed out everything before ``position`` (the end of the partition, behind any markers)."""
        ...

    def work(self) -> int | None:
        """Do what is due: retries, ticks. Returns in how many ms there is more to do. Raises FatalError only."""
        ...

    def committable(self, partition: int) -> int:
        """The offset that may be committed."""
        ...

    def load(self, partition: int) -> Load:
        """What the partition holds, to be compared with the bounds."""
        ...

    def blocked(self, partition: int) -> str | None:
        """Why the partition must not be fetched for now, whatever it holds."""
        ...

    def trouble(self, partition: int) -> str:
        """What keeps failing, in words; empty when nothing does."""
        ...

    def hangs(self) -> str:
        """What the sink has not answered, in words; empty when it has answered everything."""
        ...

    def interrupt(self) -> None:
        """Whatever takes long is to come back; until the next :meth:`settle` or :meth:`forget`. From any thread."""
        ...

    def settle(self, partitions: Collection[int], budget_ms: int) -> None:
        """Finish or drop what is in flight within the budget; afterwards :meth:`committable` is final."""
        ...

    def forget(self, partitions: Collection[int]) -> None:
        """The partitions are gone: drop what is left of them."""
        ...

    def close(self) -> None:
        """End what the flow runs (threads). Nothing is called afterwards."""
        ...
