"""Do the regions hold the same records, partition by partition, in the same order?

Compared by digest of the bytes, by event id, while the regions are read side by side.

Memory: the records that one region is ahead of another by, plus those that differ; beyond ``OPEN_MAX`` it stops
remembering and says so, since by then the answer is no.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from feed.verify.judge import Faults

OPEN_MAX: Final = 500_000
"""Records remembered that not all regions have shown yet: about 150 MB."""


@dataclass(slots=True)
class DifferenceFinding:
    """What is not the same everywhere."""

    topic: str
    regions: tuple[str, ...]
    compared: int = 0
    differing: Faults = field(default_factory=Faults)
    overflowed: bool = False

    @property
    def holds(self) -> bool:
        """All regions hold the same records."""
        return not self.differing.count and not self.overflowed


class Difference:
    """Takes (region, record) pairs in any interleaving; a record that all regions showed alike is forgotten."""

    def __init__(self, topic: str, regions: tuple[str, ...]) -> None:
        self._finding = DifferenceFinding(topic, regions)
        self._open: dict[str, list[tuple[str, int]]] = {}
        self._rows: dict[int, dict[str, int]] = {}

    def see(self, region: str, partition: int, event_id: str, raw: int) -> None:
        """One record of a region's partition, offsets ascending; ``raw`` is the digest of its bytes."""
        row = self._rows.setdefault(partition, {})
        row[region] = hash((row.get(region, 0), event_id))  # of the whole row so far, so that order counts
        identity = f"partition {partition} {event_id}"
        shown = self._open.setdefault(identity, [])
        shown.append((region, raw))
        if len(shown) == len(self._finding.regions) and {name for name, _ in shown} == set(self._finding.regions):
            del self._open[identity]
            self._finding.compared += 1
            if len({digest for _, digest in shown}) > 1:
                self._finding.differing.add(f"{identity}: its bytes are not the same in {', '.join(_names(shown))}")
        elif len(self._open) > OPEN_MAX:
            self._finding.overflowed = True
            self._open.clear()

    def conclude(self) -> DifferenceFinding:
        """What not every region has shown, or has shown more often than others, differs too."""
        for identity, shown in self._open.items():
            times = Counter(name for name, _ in shown)
            counts = ", ".join(f"{region} {times[region]}x" for region in self._finding.regions)
            self._finding.differing.add(f"{identity}: {counts}")
        self._finding.compared += len(self._open)
        if not self._open:
            self._compare_order()
        return self._finding

    def _compare_order(self) -> None:
        for partition, row in self._rows.items():
            if len(set(row.values())) > 1:
                self._finding.differing.add(f"partition {partition}: the same records in another order")


def _names(shown: list[tuple[str, int]]) -> list[str]:
    return sorted(name for name, _ in shown)
