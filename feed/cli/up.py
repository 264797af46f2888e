"""``feed up`` and ``feed down``: the local regions with the whole feed on them, for as long as one likes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feed.cli.options import NoDelayOption, RegionsOption, ReplicaDelayOption
from feed.cli.output import stdout


def up(
    *,
    regions: RegionsOption = "eu,us,ap",
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the state there, and go on from it the next time.")
    ] = None,
    no_delay: NoDelayOption = False,
    replica_delay_ms: ReplicaDelayOption = None,
) -> None:
    """Start three regions and the whole feed, print every address, and leave it running.

    All addresses are also in one JSON file, whose path is printed. Without --data the state is deleted by `feed down`.
    """
    from feed.demo.plan import DemoPlan, regions_of  # noqa: PLC0415 - loads Kafka, boto3 and more
    from feed.demo.running import Running  # noqa: PLC0415 - as above
    from feed.demo.up import print_up, start  # noqa: PLC0415 - as above

    console = stdout()
    running = Running.here()
    plan = DemoPlan(regions=regions_of(regions), delay=not no_delay, replica_delay_ms=replica_delay_ms, data_dir=data)
    description = start(plan, running, lambda line: console.print(line, highlight=False, soft_wrap=True, markup=False))
    print_up(description, running, console)


def down() -> None:
    """Stop what `feed up` started; nothing is left running. Says so when nothing was."""
    from feed.demo.running import Running  # noqa: PLC0415 - as in up

    console = stdout()
    console.print("stopping everything", highlight=False)
    console.print("stopped" if Running.here().stop() else "nothing was running", highlight=False)
