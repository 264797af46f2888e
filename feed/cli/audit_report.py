"""A verification of the audit log, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from consumers.audit import ChainReport, Finding, LogReport

SHOWN = 50
"""Faults of one status, and declared ordinals, that are printed; the JSON report has all."""


def print_report(report: LogReport, console: Console, order: str | None = None) -> None:
    """A table of the chains, every fault, what was declared, and the verdict as the last line."""
    table = Table("topic", "partition", "segments", "records", "MB", "head", "sha256 of the head", "found")
    for each in (report, *([report.control] if report.control is not None else [])):
        for chain in each.chains:
            table.add_row(each.topic, *_row(chain))
    console.print(table)
    for finding in _shown(report.findings):
        console.print(f"[red]{finding.status}[/] {finding.name}: {finding.detail}", highlight=False, soft_wrap=True)
    for refused in report.ordinals.declared[:SHOWN]:
        text = f"declared refused: {refused.shard} ordinal {refused.ordinal}: {refused.reason}"
        console.print(text, highlight=False, soft_wrap=True, markup=False)
    for gap in report.ordinals.gaps[:SHOWN]:
        console.print(f"declared gap: {gap}", highlight=False, soft_wrap=True, markup=False)
    if report.control is None:
        console.print("the log has no control events: refused changes and gaps cannot be told", highlight=False)
    if order is not None:
        held = [(name, count) for chain in report.chains for name, count in chain.of_key]
        console.print(
            f"order {order}: {sum(count for _, count in held)} changes in {len(held)} segments of this chain",
            highlight=False,
        )
        console.print(
            f"between its first and its last change {report.ordinals.changes} changes of its shards are held, here or "
            f"in {len(report.beside)} other partitions",
            highlight=False,
        )
    records = sum(chain.records for chain in report.chains)
    verdict = "[green]valid[/]" if report.valid else "[red]NOT valid[/]"
    console.print(f"{verdict}: {records} records, {report.digests} digests", highlight=False)


def as_json(report: LogReport) -> dict[str, object]:
    """The whole report."""
    return {
        "valid": report.valid,
        "topic": report.topic,
        "digests": report.digests,
        "findings": [asdict(finding) for finding in report.findings],
        "missing_ordinals": report.ordinals.missing,
        "declared_ordinals": [asdict(refused) for refused in report.ordinals.declared],
        "declared_gaps": report.ordinals.gaps,
        "repeated_ordinals": report.ordinals.repeated,
        "changes": report.ordinals.changes,
        "chains": [_chain(chain) for chain in report.chains],
        "beside": [_chain(chain) for chain in report.beside],
        "control": as_json(report.control) if report.control is not None else None,
    }


def _row(chain: ChainReport) -> list[str]:
    head = chain.head
    return [
        str(chain.partition.number),
        str(chain.segments),
        str(chain.records),
        f"{chain.size / 1e6:.1f}",
        str(head.number) if head else "-",
        head.sha256[:16] if head else "-",
        "valid" if chain.valid else ", ".join(sorted({str(finding.status) for finding in chain.findings})),
    ]


def _chain(chain: ChainReport) -> dict[str, object]:
    return {
        "partition": chain.partition.number,
        "cluster_id": chain.partition.cluster_id,
        "topic_id": chain.partition.topic_id,
        "status": "valid" if chain.valid else sorted({str(finding.status) for finding in chain.findings}),
        "segments": chain.segments,
        "records": chain.records,
        "bytes": chain.size,
        "head": asdict(chain.head) if chain.head else None,
        "of_order": [{"segment": name, "changes": count} for name, count in chain.of_key],
    }


def _shown(findings: list[Finding]) -> list[Finding]:
    counts: dict[str, int] = {}
    shown = []
    for finding in findings:
        counts[finding.status] = counts.get(finding.status, 0) + 1
        if counts[finding.status] <= SHOWN:
            shown.append(finding)
    return shown
