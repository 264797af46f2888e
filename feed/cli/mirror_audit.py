"""``feed mirror audit``: the copies compared with their originals, once or for as long as it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.table import Table

from connectors.kafka import KafkaClients
from connectors.telemetry import Checks
from feed.cli.output import stdout
from feed.config import FeedConfig
from feed.run.flows import flows_of
from feed.run.process import Process
from mirrormaker import Flow
from mirrormaker.audit import Audit, AuditMetrics, AuditVerdict, GapWriter, Kind, Side


def monotonic_ms() -> int:
    """A clock that never goes back, in milliseconds."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@contextmanager
def audits(
    config: FeedConfig,
    region: str | None,
    *,
    metrics: AuditMetrics,
    health: Checks,
    stall_after_ms: int,
    state_dir: Path | None,
    gaps: bool,
) -> Iterator[list[Audit]]:
    """An audit of each mirror, or of the one to ``region``; connections are closed at the end.

    With ``gaps`` what they find becomes gap events beside each copy.
    """
    sides: list[Side] = []
    writers: list[GapWriter] = []
    found = []
    try:
        for flow in flows_of(config, region=region):
            pair = [
                Side(name, KafkaClients(config.regions[name].kafka, client_id=f"feed-mirror-audit-{name}"))
                for name in (flow.source.name, flow.target.name)
            ]
            sides += pair
            writer = _gap_writer(config, flow) if gaps else None
            writers += [writer] if writer else []
            audit = _audit(
                flow,
                pair,
                metrics=metrics,
                health=health,
                stall_after_ms=stall_after_ms,
                state_dir=state_dir,
                findings=writer,
            )
            found.append(audit)
        yield found
    finally:
        for writer in writers:
            writer.close()
        for side in sides:
            side.close()


def run_once(found: list[Audit], *, settle_ms: int) -> list[AuditVerdict]:
    """Everything that the sources hold now."""
    return [audit.run_once(settle_ms=settle_ms) for audit in found]


def run_on(found: list[Audit], running: Process) -> list[AuditVerdict]:
    """In turn, until the process is asked to stop."""
    for audit in found:
        audit.start()
    while not running.stop.is_set():
        for audit in found:
            audit.step()
    for audit in found:
        audit.save()
    return [audit.verdict() for audit in found]


def print_verdicts(verdicts: list[AuditVerdict], *, as_json: bool) -> None:
    """A table and a line of verdict, or JSON."""
    if as_json:
        typer.echo(json.dumps([_document(verdict) for verdict in verdicts], indent=2))
        return
    table = Table("flow", "partition", "equal", *Kind, "not yet copied")
    for verdict in verdicts:
        for one in verdict.partitions:
            counts = [str(one.tally.counts.get(kind, 0) or "") for kind in Kind]
            table.add_row(verdict.flow, str(one.partition), str(one.tally.matched), *counts, str(one.lag or ""))
    console = stdout()
    console.print(table)
    for verdict in verdicts:
        said = "every copy is its original" if verdict.equal else "the copy DIFFERS from its source"
        console.print(f"{verdict.flow}: {verdict.matched} records compared, {said}", highlight=False)
        for line in _places(verdict):
            console.print(line, highlight=False)
        for feed, missing in verdict.missing_ordinals.items():
            if missing:
                console.print(f"  {feed}: {missing} ordinals of its shards never came", highlight=False)


def _gap_writer(config: FeedConfig, flow: Flow) -> GapWriter:
    clients = KafkaClients(config.regions[flow.target.name].kafka, client_id="feed-mirror-audit-gaps")
    return GapWriter(clients, flow.feeds, clock_ms=wall_ms)


def _audit(
    flow: Flow,
    pair: list[Side],
    *,
    metrics: AuditMetrics,
    health: Checks,
    stall_after_ms: int,
    state_dir: Path | None,
    findings: GapWriter | None,
) -> Audit:
    if state_dir:
        state_dir.mkdir(parents=True, exist_ok=True)
    name = f"{flow.source.name}-{flow.target.name}.json"
    return Audit(
        flow.name,
        pair[0],
        pair[1],
        flow.topics,
        now_ms=monotonic_ms,
        clock_ms=wall_ms,
        metrics=metrics,
        health=health,
        stall_after_ms=stall_after_ms,
        state_file=state_dir / name if state_dir else None,
        findings=findings,
    )


def _places(verdict: AuditVerdict) -> Iterator[str]:
    for one in verdict.partitions:
        for kind, examples in one.tally.examples.items():
            shown = ", ".join(f"source {place.source_offset} copy {place.copy_offset}" for place in examples[:3])
            if examples:
                yield f"  {one.partition}: {one.tally.counts[kind]} {kind}, at {shown}"


def _document(verdict: AuditVerdict) -> dict[str, object]:
    return {
        "flow": verdict.flow,
        "equal": verdict.equal,
        "missing_ordinals": dict(verdict.missing_ordinals),
        "partitions": [
            {
                "partition": str(one.partition),
                "matched": one.tally.matched,
                "older_than_the_copy_holds": one.tally.before,
                "not_yet_copied": one.lag,
                "waiting_ms": one.waiting_ms,
                "differences": {kind: count for kind, count in one.tally.counts.items() if count},
                "places": {kind: [place._asdict() for place in places] for kind, places in one.tally.examples.items()},
            }
            for one in verdict.partitions
        ],
    }
