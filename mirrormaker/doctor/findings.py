"""What the doctor says: findings, in order of harm, as text or JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The harm, worst first."""

    LOSS = "loss"
    """Records are lost, repeated or altered."""
    STALL = "stall"
    """The copy stops, or is slow."""
    SURPRISE = "surprise"
    """It does something else than the file seems to say."""
    ADVICE = "advice"
    """True of this file only under a condition that the file does not show; the text names it."""


ORDER = tuple(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, and what to do.

    Attributes:
        code: the rule (``MM08``).
        severity: the harm.
        harm: the same for advice: what it would be if the condition holds.
        path: the file.
        line: from 1.
        key: the key as it stands in the file, or that is missing.
        effect: what really happens.
        fix: what to write.
        source: Kafka version, KIP or issue that says so.
    """

    code: str
    severity: Severity
    harm: Severity
    path: str
    line: int
    key: str
    effect: str
    fix: str
    source: str

    @property
    def rank(self) -> tuple[int, str, int, str]:
        """Worst first, then by place."""
        return ORDER.index(self.severity), self.path, self.line, self.code


@dataclass(frozen=True)
class Report:
    """Everything that was found, worst first."""

    findings: tuple[Finding, ...]

    def failing(self, threshold: Severity) -> tuple[Finding, ...]:
        """Findings at least as bad as a threshold."""
        return tuple(one for one in self.findings if ORDER.index(one.severity) <= ORDER.index(threshold))

    def without_advice(self) -> Report:
        """Only what is wrong whatever lies outside the files."""
        return Report(tuple(one for one in self.findings if one.severity is not Severity.ADVICE))

    def as_json(self) -> list[dict[str, object]]:
        """One object for each finding, its fields as above."""
        return [asdict(finding) for finding in self.findings]

    def as_text(self) -> str:
        """For a terminal: four lines for a finding, one for advice."""
        if not self.findings:
            return "Nothing found.\n"
        return "\n".join(_text(finding) for finding in self.findings) + f"\n{self.summary()}\n"

    def summary(self) -> str:
        """``2 loss, 1 stall``."""
        counts = {severity: sum(one.severity is severity for one in self.findings) for severity in ORDER}
        return ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "nothing found"


def _text(finding: Finding) -> str:
    head = f"{finding.path}:{finding.line}: {finding.severity} {finding.code} {finding.key}"
    if finding.severity is Severity.ADVICE:
        return f"{head}: {finding.effect} {finding.fix}"
    fix = f"    fix: {finding.fix}\n" if finding.fix else ""
    return f"{head}\n    {finding.effect}\n{fix}    source: {finding.source}"
