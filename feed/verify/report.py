"""The verdict as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from feed.verify.judge import Faults, Finding
from feed.verify.verdict import Verdict


def tables(verdict: Verdict) -> Iterator[RenderableType]:
    """What to print, in order; the last is the line of the verdict."""
    if verdict.findings:
        yield _against_ledger(verdict.findings)
    if verdict.lineages:
        yield _by_ordinals(verdict)
    if verdict.differences:
        yield _between_regions(verdict)
    for sentence in verdict.examples():
        yield Text(f"  {sentence}", style="yellow")
    yield Text(verdict.line(), style="bold green" if verdict.holds else "bold red")


def _against_ledger(findings: list[Finding]) -> Table:
    table = Table(
        title="against the ledger of writes",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("place", no_wrap=True)
    for column in ("expected", "found", "missing", "duplicated", "out of order", "altered", "unexpected", "A→B→C"):
        table.add_column(column, justify="right")
    for finding in findings:
        bursts = "" if finding.bursts is None else f"{finding.bursts}/{finding.bursts + finding.bursts_broken.count}"
        table.add_row(
            f"{finding.region} {finding.place}",
            str(finding.expected),
            str(finding.found),
            _cell(finding.missing),
            _cell(finding.duplicated),
            _cell(finding.disordered) if finding.ordered else "-",
            _cell(finding.altered),
            _cell(finding.unexpected),
            Text(bursts, style="red" if finding.bursts_broken.count else ""),
        )
    return table


def _by_ordinals(verdict: Verdict) -> Table:
    table = Table(
        title="by ordinals, without the ledger",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("place", no_wrap=True)
    for column in ("shards", "ended", "changes", "missing", "duplicated", "lineage broken", "refused", "gaps"):
        table.add_column(column, justify="right")
    for finding in verdict.lineages:
        table.add_row(
            f"{finding.region} {finding.place}",
            str(finding.shards),
            str(finding.ended),
            str(finding.changes),
            _cell(finding.missing),
            _cell(finding.duplicated),
            _cell(finding.skipped),
            str(finding.refused),
            _cell(finding.gaps),
        )
    return table


def _between_regions(verdict: Verdict) -> Table:
    table = Table(
        title="between regions", title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    table.add_column("topic")
    table.add_column("regions")
    table.add_column("compared", justify="right")
    table.add_column("differing", justify="right")
    for difference in verdict.differences:
        differing = _cell(difference.differing)
        if difference.overflowed:
            differing = Text("too many to count", style="red")
        table.add_row(difference.topic, ", ".join(difference.regions), str(difference.compared), differing)
    return table


def _cell(faults: Faults) -> Text:
    return Text(str(faults.count), style="bold red" if faults.count else "green")
