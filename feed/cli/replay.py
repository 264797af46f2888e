"""``feed replay``: archived changes once more, for one consumer."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feed.replay import Progress, Range, Replayer
    from producers.replay import Counts

# The imports of what does the work stand inside: `feed --help` answers at once.


def replay(
    *,
    group: Annotated[str, typer.Option("--group", metavar="NAME", help="For which of `consumers` in feed.yaml.")],
    begin: Annotated[
        datetime | None,
        typer.Option("--from", help="Changes that happened from this time on, UTC; by default what the group lacks."),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", help="Changes before this time, UTC; by default as far as the archive is."),
    ] = None,
    order: Annotated[str | None, typer.Option("--order", help="Only this order's (the text of its key).")] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s", help="Changes a second at most; else replay.rate_per_s.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be sent; change nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the replay that is under way.")] = False,
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Replay what there is though the archive lacks something.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Then wait until the group has read it all, and delete its topic.")
    ] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Delete the topic of a replay that was read whole.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Delete the topic of a replay as it is.")] = False,
    config: ConfigOption = None,
) -> None:
    """Archived changes once more, in the order of their versions, for one consumer: what its topic no longer has.

    The consumer reads the replay beside its topic; nobody else sees it. A command that was killed is gone on with by
    --resume; nothing comes twice.
    """
    from feed.replay import Range, Replayer, request_of  # noqa: PLC0415

    _one_of(dry_run=dry_run, resume=resume, finish=finish, abort=abort)
    loaded = load(config)
    settings = loaded.replay if rate is None else loaded.replay.model_copy(update={"rate_per_s": _per_second(rate)})
    asked = Range(_milliseconds(begin), _milliseconds(end), order)
    counted, said = None, ""
    with _shown() as progress:
        replayer = Replayer(request_of(loaded, group), settings, progress=progress)
        if dry_run:
            counted = replayer.dry_run(asked)
        else:
            said = _done(replayer, asked, resume=resume, accept_gaps=accept_gaps, wait=wait, finish=finish, abort=abort)
    if counted is not None:
        raise typer.Exit(_print(*counted))
    typer.echo(said)


def _done(
    replayer: Replayer, asked: Range, *, resume: bool, accept_gaps: bool, wait: bool, finish: bool, abort: bool
) -> str:
    """Do what was asked for; what was done, in words."""
    if abort:
        replayer.abort()
        return "the replay's topic is deleted"
    if finish:
        return f"{replayer.finish().replay} was read whole; its topic is deleted"
    said = ""
    if resume or not wait or asked.given:
        state = replayer.send(asked, resume=resume, accept_gaps=accept_gaps)
        said = f"{state.replay}: {state.sent} changes sent"
    if wait:
        state = replayer.wait()
        said = f"{state.replay}: {state.sent} changes sent and read; its topic is deleted"
    return said


def _print(counts: Counts, gaps: list[str]) -> int:
    """What a dry run found; the exit code."""
    table = Table("", "changes")
    for number in range(counts.partitions):
        table.add_row(f"partition {number}", str(counts.by_partition[number]))
    for op, changes in sorted(counts.by_op.items()):
        table.add_row(f"op {op}", str(changes))
    for hour, changes in sorted(counts.by_hour.items()):
        table.add_row(f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H}:00Z", str(changes))
    stdout().print(table)
    more = [f"{counts.records} changes, {counts.payload_bytes} bytes of keys and values"]
    if counts.repeated:
        more.append(f"{counts.repeated} of all in these objects are archived twice, and would be sent once")
    if counts.no_changes:
        more.append(f"{counts.no_changes} records are no changes, and would be left out")
    typer.echo("; ".join(more))
    for gap in gaps:
        typer.echo(f"gap: {gap}")
    return 1 if gaps else 0


def _one_of(**chosen: bool) -> None:
    named = [f"--{name.replace('_', '-')}" for name, on in chosen.items() if on]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} cannot be asked for together", hint="choose one of them")


def _per_second(text: str) -> int:
    number = text.removesuffix("/s")
    if not number.isdigit() or int(number) < 1:
        raise ConfigError(f"--rate {text!r} is no rate", hint="write a number of changes a second: 5000/s")
    return int(number)


def _milliseconds(at: datetime | None) -> int | None:
    return int(at.replace(tzinfo=UTC).timestamp() * 1000) if at is not None else None


@contextmanager
def _shown() -> Iterator[Progress]:
    """A bar for each part of the work, on standard error, gone afterwards."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
