"""``feed status``: what ``feed up`` left running, and how it is doing."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from feed.cli.output import stdout


def status(
    *,
    parts: Annotated[
        bool, typer.Option("--parts", help="Also list every part with its process, address and log.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all addresses as JSON instead, and ask nobody.")
    ] = False,
) -> None:
    """Show each process: changes seen, lag, reaction times, errors. Exit code 1 when something is red."""
    from feed.demo.running import Running  # noqa: PLC0415 - loads boto3 and more: not for `feed --help`
    from feed.demo.up import parts_table  # noqa: PLC0415 - as above
    from feed.demo.up import status as look  # noqa: PLC0415 - as above

    description = Running.here().read()
    if as_json:
        typer.echo(json.dumps(description, indent=2))
        return
    console = stdout()
    renderables, well = look(description)
    for renderable in renderables:
        console.print(renderable)
    if parts:
        console.print(parts_table(description))
    raise typer.Exit(0 if well else 1)
