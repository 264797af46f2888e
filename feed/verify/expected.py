"""What should be found, from the ledger: for each order the changes it went through, numbered from 1.

Memory: about 12 bytes a write and 500 bytes an order, whatever the number of places that are judged; a minute at
400/s takes about 3 MB, a day about 1 GB. Everything that is compared with it is streamed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from feed.workload.ledger import Entry, Outcome
from schemas.change import Op
from schemas.errors import ConfigError


class History:
    """The changes of one order, by number from 1: op, status and digest of each."""

    __slots__ = ("_digests", "_ops", "_statuses", "unsure")

    def __init__(self) -> None:
        self._ops: list[Op] = []
        self._statuses: list[str] = []
        self._digests = array("Q")
        self.unsure = False
        """The outcome of the last write is not known: it may be found or not."""

    def __len__(self) -> int:
        return len(self._ops)

    def add(self, op: Op, status: str, digest: int) -> None:
        """The next change."""
        self._ops.append(op)
        self._statuses.append(status)
        self._digests.append(digest)

    def op(self, number: int) -> Op:
        """What the stream must call change ``number``."""
        return self._ops[number - 1]

    def status(self, number: int) -> str:
        """The order's status after the change; for a delete the one before it; empty before the first."""
        return self._statuses[number - 1] if number > 0 else ""

    def digest(self, number: int) -> int:
        """Of the item after the change; 0 for none (after a delete, before the first change)."""
        return self._digests[number - 1] if number > 0 else 0


@dataclass(frozen=True, slots=True)
class Burst:
    """Consecutive changes of one order, written back to back: A→B→C."""

    order: str
    first: int
    last: int


@dataclass(slots=True)
class Expected:
    """All that the ledger says."""

    orders: dict[str, History] = field(default_factory=dict)
    bursts: list[Burst] = field(default_factory=list)
    writes: int = 0
    no_ops: int = 0
    unsure: int = 0

    @property
    def changes(self) -> int:
        """How many changes the stream must have told of."""
        return self.writes - self.no_ops - self.unsure


def expect(entries: Iterable[Entry]) -> Expected:
    """Build it in one pass.

    Raises:
        ConfigError: the ledger contradicts itself (a number left out or written twice): it can prove nothing.
    """
    expected = Expected()
    open_bursts: dict[str, tuple[int, int]] = {}
    for entry in entries:
        expected.writes += 1
        if entry.op is None:
            expected.no_ops += 1
            continue
        history = expected.orders.setdefault(entry.order, History())
        if entry.number != len(history) + 1:
            raise ConfigError(
                f"the ledger has write {entry.number} of {entry.order} after write {len(history)}",
                hint="the file was changed, or two workloads wrote the same orders",
            )
        history.add(entry.op, entry.status, entry.digest)
        if entry.outcome is Outcome.UNKNOWN:
            history.unsure = True
            expected.unsure += 1
        _follow_burst(expected, open_bursts, entry)
    for order, (_, first) in open_bursts.items():
        _close_burst(expected, order, first, len(expected.orders[order]))
    return expected


def _follow_burst(expected: Expected, open_bursts: dict[str, tuple[int, int]], entry: Entry) -> None:
    standing = open_bursts.get(entry.order)
    if standing is not None and standing[0] != entry.burst:
        _close_burst(expected, entry.order, standing[1], entry.number - 1)
        del open_bursts[entry.order]
        standing = None
    if entry.burst and standing is None:
        open_bursts[entry.order] = (entry.burst, entry.number)


def _close_burst(expected: Expected, order: str, first: int, last: int) -> None:
    if last > first:  # a burst that the end of the run cut to one write is none
        expected.bursts.append(Burst(order, first, last))
