"""``feed mirror status``: each flow's tasks and partitions, as a table or JSON."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from connectors.kafka import KafkaClients
from feed.cli.mirror_flows import flows_of
from feed.config import FeedConfig
from mirrormaker import Form
from mirrormaker.render import names_of
from mirrormaker.status import FlowStatus, flow_status


def wall_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def show(config: FeedConfig, region: str | None, form: Form, *, stall_after_ms: int, as_json: bool) -> tuple[str, ...]:
    """Print every flow; returns what is not as it should be."""
    clients = {
        name: KafkaClients(settings.kafka, client_id=f"feed-mirror-status-{name}")
        for name, settings in config.regions.items()
    }
    found = [
        flow_status(
            flow,
            names_of(form, flow),
            source=clients[flow.source.name],
            target=clients[flow.target.name],
            now_ms=wall_ms,
        )
        for flow in flows_of(config, region=region)
    ]
    faults = tuple(fault for status in found for fault in status.faults(stall_after_ms=stall_after_ms))
    if as_json:
        typer.echo(
            json.dumps(
                [{**asdict(status), "faults": status.faults(stall_after_ms=stall_after_ms)} for status in found],
                indent=2,
            )
        )
    else:
        _print(found, faults)
    return faults


def _print(found: list[FlowStatus], faults: tuple[str, ...]) -> None:
    console = Console()
    for status in found:
        states = ", ".join(
            f"{task.connector}{'' if task.task is None else f'/{task.task}'} {task.state}" for task in status.tasks
        )
        console.print(f"[bold]{status.flow}[/]: {states or 'nothing known'}", highlight=False)
        table = Table("partition", "copied to", "source ends at", "records waiting (at most)", "oldest waits")
        for one in status.partitions:
            table.add_row(
                f"{one.topic}/{one.partition}",
                "" if one.copied_to is None else str(one.copied_to),
                str(one.source_end),
                str(one.lag_at_most),
                f"{one.waiting_ms / 1000:.1f} s" if one.waits else "",
            )
        console.print(table)
    for fault in faults:
        console.print(f"[bold red]{fault}[/]", highlight=False)
