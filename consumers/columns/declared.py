"""What the feed declared about itself on ``<feed>.control``, and what ordinals prove together with it. Pure.

A shard's ordinals are 0 … the last one of its ``shard-end``, less the refused ones. So a missing ordinal is either
declared, with the reason, or a loss; and a shard whose parent has neither an end nor a gap tells of a shard that was
skipped whole. Segments of a first load (``snapshot-<epoch>-<number>``) have dense ordinals and no lineage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from consumers.columns.ordinals import OrdinalLedger
from consumers.runtime.contracts import Record
from schemas.control import ControlEvent, ControlKind, decode_control
from schemas.errors import FeedError

SNAPSHOT: Final = "snapshot-"
"""Shards of a first load begin so."""

SETTLING_MS: Final = 60_000
"""A shard that ended less than this ago may have its last changes still on their way into the store."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that went to the dead letters instead of the topic."""

    shard: str
    ordinal: int
    reason: str


@dataclass(slots=True)
class Declared:
    """The control events that were found, by shard."""

    events: int = 0
    refused: dict[str, dict[int, str]] = field(default_factory=dict)
    started_ms: dict[str, int] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    ends: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Last ordinal and time of each ``shard-end``."""
    epochs: dict[int, int] = field(default_factory=dict)
    """When the feed first said that it publishes under an epoch: the rows of its snapshot, if there is one, follow."""
    gaps: list[str] = field(default_factory=list)
    """What the stream lost before it was read, as sentences."""
    gap_shards: set[str] = field(default_factory=set)
    unreadable: int = 0
    """Records that are no control events."""

    def take(self, event: ControlEvent) -> None:
        """Add one."""
        self.events += 1
        match event.kind:
            case ControlKind.SHARD_START:
                self.started_ms[event.shard] = event.at_ms
                self.parents[event.shard] = event.parent
            case ControlKind.SHARD_END:
                self.ends[event.shard] = (event.ordinal, event.at_ms)
            case ControlKind.REFUSED:
                self.refused.setdefault(event.shard, {})[event.ordinal] = event.reason
            case ControlKind.GAP:
                self.gap_shards.add(event.shard)
                sure = "certain" if event.certain else "possible"
                self.gaps.append(f"{event.shard or event.stream}: {event.reason} ({sure})")
            case ControlKind.EPOCH:
                self.epochs[event.epoch] = min(event.at_ms, self.epochs.get(event.epoch, event.at_ms))
            case _:
                pass

    def firsts(self, since_ms: int) -> dict[str, int]:
        """First ordinal of each shard whose start lies at or after ``since_ms``: nothing of it may be missing."""
        return {shard: 0 for shard, at_ms in self.started_ms.items() if at_ms >= since_ms}

    def lasts(self, until_ms: int) -> dict[str, int]:
        """Last ordinal of each shard that ended before ``until_ms``, less what was refused at its end."""
        return {
            shard: self._last_published(shard, last) for shard, (last, at_ms) in self.ends.items() if at_ms < until_ms
        }

    def _last_published(self, shard: str, last: int) -> int:
        refused = self.refused.get(shard, {})
        while last in refused:
            last -= 1
        return last


def declared_in(records: Iterable[Record], declared: Declared | None = None) -> Declared:
    """What the records of a control topic declare, added to what was ``declared`` before."""
    declared = declared if declared is not None else Declared()
    for record in records:
        try:
            declared.take(decode_control(record.value() or b""))
        except FeedError:
            declared.unreadable += 1
    return declared


@dataclass(slots=True)
class OrdinalReport:
    """What ordinals prove, with what was declared."""

    changes: int = 0
    """Different changes that were found."""
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Ranges of ordinals (both ends included) that are neither held nor declared, by shard."""
    declared: list[Refused] = field(default_factory=list)
    """Ordinals that are not held and were declared as refused."""
    repeated: dict[str, list[int]] = field(default_factory=dict)
    """Ordinals held more than once, by shard."""
    lineage: list[str] = field(default_factory=list)
    """Breaks of the lineage of shards."""
    gaps: list[str] = field(default_factory=list)
    """Gaps that the feed itself declared: lost by the stream before it was read, so no store can hold it."""

    @property
    def valid(self) -> bool:
        """True when every ordinal is held once or declared."""
        return not (self.missing or self.repeated or self.lineage)


def judge_ordinals(
    ledger: OrdinalLedger,
    declared: Declared,
    *,
    firsts: Mapping[str, int],
    lasts: Mapping[str, int],
    beside: OrdinalLedger | None = None,
) -> OrdinalReport:
    """Compare what was found with what must be there.

    Args:
        ledger: the ordinals found.
        declared: what the feed said.
        firsts: the first ordinal to expect; the lowest found where a shard is not named.
        lasts: the last ordinal to expect, of shards of which something was found or that ``firsts`` names; the highest
            found where a shard is not named.
        beside: ordinals found just outside the range that is judged; they are not missing.
    """
    report = OrdinalReport(changes=ledger.total(), repeated=ledger.repeated(), gaps=list(declared.gaps))
    known = ledger.shards() | firsts.keys()
    ends = {shard: last for shard, last in lasts.items() if shard in known}
    missing = ledger.missing({**ledger.lowest(), **firsts}, ends)
    for shard, holes in missing.items():
        refused = declared.refused.get(shard, {})
        left: list[tuple[int, int]] = []
        for hole in holes:
            told = [ordinal for ordinal in sorted(refused) if hole[0] <= ordinal <= hole[1]]
            report.declared += [Refused(shard, ordinal, refused[ordinal]) for ordinal in told]
            left += _without(hole, told)
        if beside is not None:
            left = [part for hole in left for part in beside.holes_within(shard, hole)]
        if left:
            report.missing[shard] = left
    return report


def judge_lineage(seen: Iterable[str], declared: Declared) -> list[str]:
    """Shards that were skipped whole, as far as the control events tell; nothing when there are none."""
    if not declared.events:
        return []
    breaks = [
        f"{shard} has changes but no start"
        for shard in sorted(seen)
        if shard not in declared.parents and not shard.startswith(SNAPSHOT)
    ]
    breaks += [
        f"{shard} started though its parent {parent} has neither an end nor a gap"
        for shard, parent in sorted(declared.parents.items())
        if parent and parent not in declared.ends and parent not in declared.gap_shards
    ]
    return breaks


def _without(hole: tuple[int, int], taken: Iterable[int]) -> list[tuple[int, int]]:
    """What is left of a range without some of its numbers, which ascend."""
    first, last = hole
    left: list[tuple[int, int]] = []
    for number in taken:
        if first < number:
            left.append((first, number - 1))
        first = number + 1
    if first <= last:
        left.append((first, last))
    return left
