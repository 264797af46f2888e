"""``feed demo``: the whole feed on this machine, under load, proven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from feed.cli.options import NoDelayOption, RegionsOption, ReplicaDelayOption
from feed.cli.output import stdout


def demo(
    *,
    rate: Annotated[int, typer.Option(min=1, help="Writes a second.")] = 400,
    seconds: Annotated[float, typer.Option(min=1, help="How long to write.")] = 60,
    regions: RegionsOption = "eu,us,ap",
    kill: Annotated[
        bool,
        typer.Option("--kill", help="Kill -9 the producer, a MirrorMaker and the warehouse once each while it runs."),
    ] = False,
    no_delay: NoDelayOption = False,
    replica_delay_ms: ReplicaDelayOption = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same orders.")] = 1,
    drain: Annotated[
        float, typer.Option(min=1, help="Seconds that everything may take to arrive after the last write.")
    ] = 90,
    json_report: Annotated[Path | None, typer.Option("--json", help="Also write the verdict to this file.")] = None,
) -> None:
    """Start three regions, write orders, watch every change arrive everywhere once and in order, and prove it.

    Exit code 0 when every promise held, 1 when one was broken, 2 when this machine lacks something. Ctrl-C stops it.
    """
    # these load Kafka, boto3 and more: not for `feed --help`
    from feed.demo.command import run_demo  # noqa: PLC0415
    from feed.demo.plan import DemoPlan, regions_of  # noqa: PLC0415
    from feed.workload import WorkloadSettings  # noqa: PLC0415

    plan = DemoPlan(
        regions=regions_of(regions),
        workload=WorkloadSettings(rate_per_s=rate, seconds=seconds, seed=seed),
        kill=kill,
        delay=not no_delay,
        replica_delay_ms=replica_delay_ms,
        drain_bound_s=drain,
    )
    outcome = run_demo(plan, stdout())
    if json_report is not None:
        json_report.write_text(json.dumps(outcome.to_report(), indent=2) + "\n", encoding="utf-8")
    raise typer.Exit(0 if outcome.holds else 1)
