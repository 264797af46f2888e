"""``feed verify``: is everything there, once, in order, unaltered, the same everywhere?"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout


def verify(
    *,
    config: ConfigOption = None,
    ledger: Annotated[
        Path | None, typer.Option(help="The workload's ledger of writes; without it, ordinals and lineage alone prove.")
    ] = None,
    json_report: Annotated[
        Path | None, typer.Option("--json", help="Also write the report to this file, with all examples.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the line of the verdict only.")] = False,
) -> None:
    """Read every region's topic and every sink, and judge: missing, duplicated, out of order, altered, differing.

    Reads without a group and moves no offset. Exit code 0 when every promise held, 1 on any fault, also when a place
    could not be read.
    """
    from feed.verify.report import tables  # noqa: PLC0415 - loads Kafka, boto3 and more: not for `feed --help`
    from feed.verify.run import verify as run_verify  # noqa: PLC0415

    console = stdout()
    verdict = run_verify(
        load(config), ledger, (lambda _: None) if quiet else partial(Console(stderr=True).print, soft_wrap=True)
    )
    if json_report is not None:
        json_report.write_text(json.dumps(verdict.to_report(), indent=2) + "\n", encoding="utf-8")
    for renderable in list(tables(verdict))[-1 if quiet else 0 :]:
        console.print(renderable, soft_wrap=not isinstance(renderable, Table))
    raise typer.Exit(0 if verdict.holds else 1)
