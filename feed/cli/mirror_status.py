"""``feed mirror status`` and ``watch``: each flow's tasks, partitions and pace; a table, JSON, metrics and health."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import httpx
import typer
from rich.table import Table

from connectors.kafka import KafkaClients
from feed.cli.output import stdout
from feed.config import FeedConfig
from feed.run.flows import flows_of
from feed.run.process import Process
from mirrormaker import Flow, Form
from mirrormaker.render import names_of
from mirrormaker.status import (
    FlowStatus,
    Pace,
    ProcessMetrics,
    Rates,
    StatusWatch,
    flow_status,
    measure_pace,
    rates,
    read_metrics,
)
from schemas.errors import RetryableError

SCRAPE_WITHIN_S = 10.0


def wall_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class FlowReport:
    """All that is known of a flow; of its process only where its metrics are served."""

    status: FlowStatus
    pace: Pace | None = None
    metrics: ProcessMetrics | None = None
    rates: Rates | None = None

    def faults(self, *, stall_after_ms: int) -> tuple[str, ...]:
        """What is not as it should be, a sentence each."""
        tasks = self.metrics.tasks if self.metrics else ()
        of_process = tuple(f"{self.status.flow}: its process says {t.described}" for t in tasks if not t.at_work)
        return (*self.status.faults(stall_after_ms=stall_after_ms), *of_process)

    def document(self, *, stall_after_ms: int) -> dict[str, Any]:
        """As plain values."""
        return {
            **asdict(self.status),
            "faults": self.faults(stall_after_ms=stall_after_ms),
            "pace": asdict(self.pace) if self.pace else None,
            "metrics": asdict(self.metrics) if self.metrics else None,
            "rates": asdict(self.rates) if self.rates else None,
        }


def show(
    config: FeedConfig, region: str | None, form: Form, *, stall_after_ms: int, sample_s: float, as_json: bool
) -> tuple[str, ...]:
    """Print every flow; returns what is not as it should be."""
    clients = _clients(config)
    urls = {mirror.target: mirror.metrics_url for mirror in config.mirrors}
    found = [
        _report(flow, form, clients, metrics_url=urls[flow.target.name], sample_s=sample_s)
        for flow in flows_of(config, region=region)
    ]
    faults = tuple(fault for one in found for fault in one.faults(stall_after_ms=stall_after_ms))
    if as_json:
        typer.echo(json.dumps([one.document(stall_after_ms=stall_after_ms) for one in found], indent=2))
    else:
        _print(found, faults)
    return faults


def watch(
    config: FeedConfig, region: str | None, form: Form, *, watching: StatusWatch, running: Process, every_s: float
) -> None:
    """Ask every flow again and again, until the process is asked to stop."""
    clients = _clients(config)
    flows = flows_of(config, region=region)
    while not running.stop.is_set():
        for flow in flows:
            watching.look(flow.name, partial(_status, flow, form, clients))
        running.stop.wait(every_s)


def _clients(config: FeedConfig) -> dict[str, KafkaClients]:
    return {
        name: KafkaClients(settings.kafka, client_id=f"feed-mirror-status-{name}")
        for name, settings in config.regions.items()
    }


def _status(flow: Flow, form: Form, clients: dict[str, KafkaClients]) -> FlowStatus:
    names = names_of(form, flow)
    return flow_status(flow, names, source=clients[flow.source.name], target=clients[flow.target.name], now_ms=wall_ms)


def _report(
    flow: Flow, form: Form, clients: dict[str, KafkaClients], *, metrics_url: str | None, sample_s: float
) -> FlowReport:
    before, began = (_scrape(metrics_url) if metrics_url else None), time.monotonic()
    pace = None
    if sample_s > 0:
        names, target = names_of(form, flow), clients[flow.target.name]
        pace = measure_pace(flow, names, target=target, seconds=sample_s, sleep=time.sleep, now_ms=wall_ms)
    after = _scrape(metrics_url) if metrics_url else None
    between = rates(before, after, time.monotonic() - began) if before and after and sample_s > 0 else None
    return FlowReport(_status(flow, form, clients), pace, after, between)


def _scrape(url: str) -> ProcessMetrics:
    try:
        answer = httpx.get(url, timeout=SCRAPE_WITHIN_S).raise_for_status()
    except httpx.HTTPError as error:
        raise RetryableError(
            f"The mirror's metrics cannot be read: {error}.",
            hint=f"Is its process up, and does its agent serve {url} (mirrors[].metrics_url)?",
        ) from error
    return read_metrics(answer.text)


def _print(found: list[FlowReport], faults: tuple[str, ...]) -> None:
    console = stdout()
    for one in found:
        status = one.status
        states = ", ".join(
            f"{task.connector}{'' if task.task is None else f'/{task.task}'} {task.state}" for task in status.tasks
        )
        console.print(f"[bold]{status.flow}[/]: {states or 'nothing known'}", highlight=False)
        for line in _pace_lines(one):
            console.print(f"  {line}", highlight=False)
        table = Table("partition", "copied to", "source ends at", "records waiting (at most)", "oldest waits")
        for place in status.partitions:
            table.add_row(
                f"{place.topic}/{place.partition}",
                "" if place.copied_to is None else str(place.copied_to),
                str(place.source_end),
                str(place.lag_at_most),
                f"{place.waiting_ms / 1000:.1f} s" if place.waits else "",
            )
        console.print(table)
    for fault in faults:
        console.print(f"[bold red]{fault}[/]", highlight=False)


def _pace_lines(one: FlowReport) -> Iterator[str]:
    pace, process, between = one.pace, one.metrics, one.rates
    if pace is not None:
        at_least = "at least " if pace.is_bound else ""
        yield (
            f"the copy got {at_least}{pace.records / pace.seconds:,.0f} records/s, "
            f"{pace.bytes / pace.seconds:,.0f} B/s in {pace.transactions / pace.seconds:,.1f} transactions/s "
            f"({pace.aborted} offsets aborted) "
            f"over {pace.seconds:.1f} s"
        )
    if process is not None:
        of_tasks = ", ".join(f"{task.connector}/{task.task} {task.state}" for task in process.tasks)
        yield f"its process: {of_tasks or 'no task'}; {process.records:,.0f} records, {process.bytes:,.0f} B so far"
    if process is not None and between is not None:
        yield (
            f"its process: {between.records_per_s:,.0f} records/s, {between.bytes_per_s:,.0f} B/s, about "
            f"{between.commits_per_s:,.1f} commits/s ({between.commit_ms_per_s:.0f} ms of each second), "
            f"{between.abort_ms:.0f} ms of aborts, latency at most {process.latency_ms_max:.0f} ms"
        )
