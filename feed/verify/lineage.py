"""Completeness without any ledger: what ordinals and the control topic prove in any region, topic or store.

A shard's ordinals are dense: 0 … ``last`` of its ``shard-end``, less the refused ones; an open shard's are dense up
to the last one seen. Every shard that changes come from has a ``shard-start``; the parent that it names has an end or
a gap of its own.

Memory: one bit for each change of a shard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from feed.verify.judge import Faults
from schemas.control import ControlEvent, ControlKind


class Ordinals:
    """Which ordinals of one shard were seen: a bit map that grows with the highest one."""

    __slots__ = ("_bits", "highest", "twice")

    def __init__(self) -> None:
        self._bits = bytearray()
        self.highest = -1
        self.twice: list[int] = []

    def add(self, ordinal: int) -> bool:
        """Take one; False when it was there already."""
        byte, bit = ordinal >> 3, 1 << (ordinal & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self.highest = max(self.highest, ordinal)
        return True

    def missing(self, last: int) -> list[int]:
        """Those of 0 … ``last`` that were not seen."""
        full = (last + 1) >> 3
        holes = [
            number
            for byte, bits in enumerate(self._bits[:full])
            if bits != 0xFF
            for number in range(byte * 8, byte * 8 + 8)
            if not bits & 1 << (number & 7)
        ]
        tail = range(min(full, len(self._bits)) * 8, last + 1)
        return holes + [number for number in tail if not self._has(number)]

    def _has(self, ordinal: int) -> bool:
        byte = ordinal >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & 1 << (ordinal & 7))


@dataclass(slots=True)
class LineageFinding:
    """What ordinals and control events say of one place."""

    place: str
    region: str
    shards: int = 0
    ended: int = 0
    changes: int = 0
    refused: int = 0
    missing: Faults = field(default_factory=Faults)
    duplicated: Faults = field(default_factory=Faults)
    skipped: Faults = field(default_factory=Faults)
    """Breaks of the lineage: a shard without a start, a parent without an end, a change beyond the end."""
    gaps: Faults = field(default_factory=Faults)
    """Gaps that the feed itself declared: not silent, but changes are or may be missing."""

    def faults(self) -> dict[str, Faults]:
        """By name."""
        return {
            "ordinals missing": self.missing,
            "ordinals duplicated": self.duplicated,
            "lineage broken": self.skipped,
            "gaps declared": self.gaps,
        }

    @property
    def holds(self) -> bool:
        """No fault of any kind."""
        return not any(faults.count for faults in self.faults().values())


class Lineage:
    """Takes the ordinals of a place and the control events of a region, in any order."""

    def __init__(self) -> None:
        self._shards: dict[str, Ordinals] = {}
        self._duplicated = Faults()

    def see(self, shard: str, ordinal: int) -> None:
        """One change."""
        ordinals = self._shards.get(shard)
        if ordinals is None:
            ordinals = self._shards[shard] = Ordinals()
        if not ordinals.add(ordinal):
            self._duplicated.add(f"{shard} ordinal {ordinal}")

    def conclude(self, place: str, region: str, control: Iterable[ControlEvent]) -> LineageFinding:
        """Compare with what the feed said about itself."""
        told = _Told.of(control)
        finding = LineageFinding(place, region, shards=len(self._shards.keys() | told.parents.keys()))
        finding.duplicated = self._duplicated
        finding.ended = len(told.last)
        finding.refused = sum(len(refused) for refused in told.refused.values())
        finding.gaps = told.gaps
        for shard in sorted(self._shards.keys() | told.last.keys()):
            self._check_ordinals(finding, told, shard)
        _check_lineage(finding, told, self._shards.keys())
        return finding

    def _check_ordinals(self, finding: LineageFinding, told: _Told, shard: str) -> None:
        ordinals = self._shards.get(shard, Ordinals())
        refused = told.refused.get(shard, set())
        last = told.last.get(shard, max(ordinals.highest, *refused, -1))
        missing = [number for number in ordinals.missing(last) if number not in refused]
        finding.changes += last + 1
        for number in missing:
            finding.missing.add(f"{shard} ordinal {number} of 0 to {last}")
        if ordinals.highest > last:
            finding.skipped.add(f"{shard} has ordinal {ordinals.highest} though it ended at {last}")


@dataclass(slots=True)
class _Told:
    """The control events, by shard."""

    parents: dict[str, str] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    refused: dict[str, set[int]] = field(default_factory=dict)
    gap_shards: set[str] = field(default_factory=set)
    gaps: Faults = field(default_factory=Faults)
    repeated: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[ControlEvent]) -> _Told:
        told = cls()
        for event in events:
            match event.kind:
                case ControlKind.SHARD_START:
                    if event.shard in told.parents:
                        told.repeated.append(f"{event.shard} started twice")
                    told.parents[event.shard] = event.parent
                case ControlKind.SHARD_END:
                    if event.shard in told.last:
                        told.repeated.append(f"{event.shard} ended twice")
                    told.last[event.shard] = event.ordinal
                case ControlKind.REFUSED:
                    told.refused.setdefault(event.shard, set()).add(event.ordinal)
                case ControlKind.GAP:
                    told.gap_shards.add(event.shard)
                    sure = "certain" if event.certain else "possible"
                    told.gaps.add(f"{event.shard or event.stream}: {event.reason} ({sure})")
                case _:
                    pass
        return told


def _check_lineage(finding: LineageFinding, told: _Told, seen: Iterable[str]) -> None:
    for sentence in told.repeated:
        finding.skipped.add(sentence)
    for shard in sorted(seen):
        if shard not in told.parents:
            finding.skipped.add(f"{shard} has changes but no start")
    for shard, parent in sorted(told.parents.items()):
        if parent and parent not in told.last and parent not in told.gap_shards:
            finding.skipped.add(f"{shard} started though its parent {parent} has neither an end nor a gap")
