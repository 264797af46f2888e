"""The judge: what a place holds, compared with what the ledger says. Pure, one change at a time.

For each order the changes are numbered 1, 2, 3 …, so a place that holds them all, once, in order shows just that. A
number twice is a duplicate, a number lower than one already seen for the order is out of order, a number that never
comes is missing, and a change whose images or op are not those that were written is altered.

Memory: one byte for each change of the ledger for each place, while that place is judged; examples are capped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from feed.verify.evidence import DELETED, Place, Seen, UnreadableRecord
from feed.verify.expected import Expected, History
from schemas.change import Op

EXAMPLES_MAX: Final = 5
"""Sentences kept for each kind of fault; all faults are counted."""


@dataclass(slots=True)
class Faults:
    """One kind of fault at one place: how many, and the first few as sentences."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(example)


@dataclass(slots=True)
class Finding:
    """What the judge says of one place."""

    place: str
    region: str
    expected: int = 0
    found: int = 0
    missing: Faults = field(default_factory=Faults)
    duplicated: Faults = field(default_factory=Faults)
    disordered: Faults = field(default_factory=Faults)
    altered: Faults = field(default_factory=Faults)
    unexpected: Faults = field(default_factory=Faults)
    """Changes that nobody wrote, and records that cannot be read."""
    bursts: int | None = None
    """A→B→C of the ledger seen in full; None where that is not asked."""
    bursts_broken: Faults = field(default_factory=Faults)
    note: str = ""
    ordered: bool = True
    """Whether order could be judged here."""

    def faults(self) -> dict[str, Faults]:
        """By name, in the order of the table's columns."""
        return {
            "missing": self.missing,
            "duplicated": self.duplicated,
            "out of order": self.disordered,
            "altered": self.altered,
            "unexpected": self.unexpected,
            "bursts not seen in full": self.bursts_broken,
        }

    @property
    def holds(self) -> bool:
        """No fault of any kind."""
        return not any(faults.count for faults in self.faults().values())


class Judge:
    """Judges one place: :meth:`see` every change that it holds, then :meth:`conclude`."""

    def __init__(self, expected: Expected, place: Place) -> None:
        self._expected = expected
        self._place = place
        self._seen: dict[str, bytearray] = {}
        self._highest: dict[str, int] = {}
        self._finding = Finding(place.name, place.region, ordered=place.ordered)

    def see(self, seen: Seen) -> None:
        """One change, in the order in which the place holds it."""
        finding = self._finding
        finding.found += 1
        history = self._expected.orders.get(seen.order)
        if seen.op is Op.READ:
            self._see_row(history, seen)
            return
        if history is None or not 1 <= seen.number <= len(history):
            finding.unexpected.add(f"{_name(seen)}: nobody wrote that")
            return
        if not self._place.wanted(history, seen.number):
            finding.unexpected.add(f"{_name(seen)}: it should not be here")
            return
        flags = self._seen.get(seen.order)
        if flags is None:
            flags = self._seen[seen.order] = bytearray(len(history) + 1)
        if flags[seen.number]:
            finding.duplicated.add(f"{_name(seen)}: seen before")
            return
        flags[seen.number] = 1
        if self._place.ordered:
            self._keep_order(seen)
        if fault := _alteration(history, seen):
            finding.altered.add(f"{_name(seen)}: {fault}")

    def _see_row(self, history: History | None, seen: Seen) -> None:
        """A row of a snapshot is no change: it repeats the state after one, at any place between the changes."""
        if history is None or not 1 <= seen.number <= len(history):
            self._finding.unexpected.add(f"{_name(seen)}: nobody wrote that")
        elif seen.after is not None and seen.after != history.digest(seen.number):
            self._finding.altered.add(f"{_name(seen)}: the row is not what was written")

    def see_unreadable(self, record: UnreadableRecord) -> None:
        """Something that is no change at all."""
        self._finding.found += 1
        self._finding.unexpected.add(f"{record.where}: {record.reason}")

    def conclude(self) -> Finding:
        """Count what never came, and the bursts."""
        for order, history in self._expected.orders.items():
            flags = self._seen.get(order)
            last_sure = len(history) - history.unsure
            for number in range(1, len(history) + 1):
                if not self._place.wanted(history, number):
                    continue
                found = flags is not None and flags[number]
                self._finding.expected += bool(found or number <= last_sure)
                if not found and number <= last_sure:
                    self._finding.missing.add(f"change {number} of {order} ({history.status(number)})")
        if self._place.bursts:
            self._count_bursts()
        return self._finding

    def _keep_order(self, seen: Seen) -> None:
        highest = self._highest.get(seen.order, 0)
        if seen.number < highest:
            self._finding.disordered.add(f"{_name(seen)}: after change {highest}")
        else:
            self._highest[seen.order] = seen.number

    def _count_bursts(self) -> None:
        whole = 0
        for burst in self._expected.bursts:
            flags = self._seen.get(burst.order)
            if flags is not None and all(flags[burst.first : burst.last + 1]):
                whole += 1
            else:
                self._finding.bursts_broken.add(f"changes {burst.first} to {burst.last} of {burst.order}")
        self._finding.bursts = whole


def _alteration(history: History, seen: Seen) -> str:
    """What is wrong with the content, empty when nothing is."""
    op = history.op(seen.number)
    if seen.op is not None and seen.op is not op:
        return f"op is {seen.op!s}, written was {op!s}"
    if seen.after is not None and seen.after != history.digest(seen.number):
        return "the item after the change is not what was written"
    if seen.before is not None and seen.before != history.digest(seen.number - 1):
        return "the item before the change is not what had been written"
    status = DELETED if op is Op.DELETE else history.status(seen.number)
    if seen.status is not None and seen.status != status:
        return f"status is {seen.status}, written was {status}"
    return ""


def _name(seen: Seen) -> str:
    return f"change {seen.number} of {seen.order} ({seen.where})"
