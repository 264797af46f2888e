"""What was found: the contract between the places that hold changes and the judge.

Adding a place is writing one small class with ``place`` and ``changes()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from feed.verify.expected import History
from schemas.change import Op


class Seen(NamedTuple):
    """One change, as a place holds it."""

    order: str
    number: int
    """Its number within its order, from the revision in its images; 0 when it has none."""
    op: Op | None
    """None where the place does not keep it."""
    after: int | None
    """Digest of the after-image; None where the place does not keep the image."""
    before: int | None
    """Digest of the before-image; None where the place does not keep it."""
    event_id: str
    shard: str
    ordinal: int
    """Within the shard; -1 where the place does not keep it."""
    raw: int
    """Digest of key, value and headers as stored; 0 where the place does not keep the record's bytes."""
    where: str
    """For a person: ``us orders[3] offset 120``."""
    status: str | None = None
    """The order's status by the place, :data:`DELETED` for a delete; None where it is not kept apart."""


DELETED: Final = "deleted"
"""The status that a place shows of an order that is gone."""

Wanted = Callable[[History, int], bool]
"""Is change ``number`` of an order expected at a place?"""


def every_change(history: History, number: int) -> bool:  # noqa: ARG001 - the shape of Wanted
    """Places that hold all changes."""
    return True


def last_change(history: History, number: int) -> bool:
    """Places that hold the last state of each order."""
    return number == len(history)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere changes end up, and what was promised for it."""

    name: str
    region: str
    wanted: Wanted = every_change
    ordered: bool = True
    """``changes()`` yields the changes of one order in the order in which the place applied them."""
    bursts: bool = False
    """Every A→B→C must have been seen in full here."""

    @property
    def title(self) -> str:
        """``us warehouse``."""
        return f"{self.region} {self.name}"


class UnreadableRecord(NamedTuple):
    """A record that is there but cannot be read as a change."""

    where: str
    reason: str


class Evidence(Protocol):
    """A place that can be read."""

    @property
    def place(self) -> Place:
        """What it is and what is promised for it."""
        ...

    def changes(self) -> Iterator[Seen | UnreadableRecord]:
        """All that it holds, streamed; bounded memory is the adapter's duty."""
        ...


NOT_KEPT: Final = -1
"""The ordinal of a change at a place that does not keep ordinals."""
