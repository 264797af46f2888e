"""All findings together, and the one line that they come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from feed.verify.difference import DifferenceFinding
from feed.verify.judge import Faults, Finding
from feed.verify.lineage import LineageFinding


@dataclass(slots=True)
class Verdict:
    """What ``feed verify`` says."""

    findings: list[Finding] = field(default_factory=list)
    """Each place against the ledger; empty when there is none."""
    lineages: list[LineageFinding] = field(default_factory=list)
    """Each place by its own ordinals."""
    differences: list[DifferenceFinding] = field(default_factory=list)
    """Between regions."""
    dead_letters: Faults = field(default_factory=Faults)
    """Records that were refused: kept whole, but not delivered."""
    unread: list[str] = field(default_factory=list)
    """Places that could not be read, with the reason: nothing is proven for them."""
    notes: list[str] = field(default_factory=list)
    changes: int = 0
    """Changes that the ledger expects."""

    @property
    def holds(self) -> bool:
        """Every promise that was looked at is kept, and all that was asked for could be looked at."""
        parts: list[Finding | LineageFinding | DifferenceFinding] = [
            *self.findings,
            *self.lineages,
            *self.differences,
        ]
        return bool(parts) and all(part.holds for part in parts) and not self.unread and not self.dead_letters.count

    def totals(self) -> dict[str, int]:
        """Faults by kind, over all places."""
        totals: dict[str, int] = {}
        for finding in self._places():
            for kind, faults in finding.faults().items():
                totals[kind] = totals.get(kind, 0) + faults.count
        totals["differing between regions"] = sum(difference.differing.count for difference in self.differences)
        totals["dead letters"] = self.dead_letters.count
        totals["places not read"] = len(self.unread)
        return totals

    def _places(self) -> Iterator[Finding | LineageFinding]:
        yield from self.findings
        yield from self.lineages

    def line(self) -> str:
        """The verdict in one line."""
        places = len(self.findings) or len(self.lineages)
        what = f"{self.changes} changes in {places} places" if self.findings else f"{places} places by their ordinals"
        if self.holds:
            return f"PROMISES HELD: {what}; 0 missing, 0 duplicated, 0 out of order, 0 altered, 0 differing"
        faults = ", ".join(f"{count} {kind}" for kind, count in self.totals().items() if count)
        return f"PROMISES BROKEN: {what}; {faults or 'nothing could be looked at'}"

    def examples(self) -> list[str]:
        """The first sentences of each kind of fault, for a person."""
        sentences = [*self.notes, *(f"not read: {reason}" for reason in self.unread)]
        for finding in self._places():
            for kind, faults in finding.faults().items():
                sentences += [f"{finding.region} {finding.place}, {kind}: {example}" for example in faults.examples]
        for difference in self.differences:
            sentences += [f"{difference.topic}, differing: {example}" for example in difference.differing.examples]
        return [*sentences, *(f"dead letter: {example}" for example in self.dead_letters.examples)]

    def to_report(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"holds": self.holds, "line": self.line(), "totals": self.totals(), **asdict(self)}
