"""The rules as a page: for ``feed mirror rules`` and docs/mirrormaker.md, which a test keeps equal."""

from __future__ import annotations

from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.rule import Rule
from mirrormaker.doctor.rules import ALL


def rules_table() -> str:
    """A Markdown table of every rule."""
    lines = ["| code | harm | trap | source |", "| --- | --- | --- | --- |"]
    lines += [f"| {rule.code} | {_harm(rule)} | {rule.title} | {rule.source} |" for rule in ALL]
    return "\n".join(lines) + "\n"


def rules_list() -> str:
    """A line for every rule."""
    return "".join(f"{rule.code}  {_harm(rule):<17} {rule.title}\n" for rule in ALL)


def _harm(rule: Rule) -> str:
    return rule.severity if rule.certain else f"{Severity.ADVICE} ({rule.severity})"
