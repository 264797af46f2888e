"""A rule is a small value: what it says, and a check that yields where it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mirrormaker.doctor.document import Value
from mirrormaker.doctor.findings import Finding, Severity
from mirrormaker.doctor.setup import Setup
from mirrormaker.entries import escape_value


@dataclass(frozen=True)
class Hit:
    """Where a rule holds.

    Attributes:
        at: the line to point at.
        key: the key to name; empty: the one that stands there.
        fix: what to write, when it depends on the place; empty: the rule's.
        facts: words for the rule's texts (``{target}`` …).
        severity: when this hit is less or more than the rule says.
    """

    at: Value
    key: str = ""
    fix: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    severity: Severity | None = None


def line_to_write(key: str, text: str, at: Value) -> str:
    """A line that sets a key, written as the file of ``at`` must have it (properties need backslashes doubled)."""
    return f"{key} = {escape_value(text) if at.raw else text}"


Check = Callable[[Setup], Iterable[Hit]]


@dataclass(frozen=True)
class Rule:
    """One trap.

    Attributes:
        code: its name in reports; ``MM`` and the number of the trap.
        title: a few words.
        severity: the harm.
        effect: what really happens; may name facts of the hit in braces.
        fix: what to write instead; the same.
        source: who says so.
        check: where it holds.
        certain: False: it holds only under a condition that a file cannot show, so it is reported as advice.
    """

    code: str
    title: str
    severity: Severity
    effect: str
    fix: str
    source: str
    check: Check
    certain: bool = True

    def findings(self, setup: Setup) -> Iterator[Finding]:
        """What this rule says about a setup."""
        for hit in self.check(setup):
            harm = hit.severity or self.severity
            facts = {"key": hit.key or hit.at.key, "value": hit.at.text, **hit.facts}
            yield Finding(
                code=self.code,
                severity=harm if self.certain else Severity.ADVICE,
                harm=harm,
                path=hit.at.path,
                line=hit.at.line,
                key=facts["key"],
                effect=_filled(self.effect, facts),
                fix=" ".join(
                    part for part in (f"Write `{hit.fix}`." if hit.fix else "", _filled(self.fix, facts)) if part
                ),
                source=self.source,
            )


def _filled(template: str, facts: dict[str, str]) -> str:
    """Braces that name a fact are replaced; all others stay, since Kafka's values have braces too."""
    for name, text in facts.items():
        template = template.replace(f"{{{name}}}", text)
    return template
