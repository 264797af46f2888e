"""``feed dead-letters``: what was refused, why, and once more."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Records that were refused: list them, look at one, retry them.")

ConsumerOption = Annotated[
    str | None,
    typer.Option("--consumer", metavar="NAME", help="Those of this consumer; by default those of the producer."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="A JSON line for each instead of a table.")]


# The imports below stand inside the commands: `feed --help` answers at once.


@app.command(name="list", epilog="Example: feed dead-letters list --consumer warehouse")
def list_letters(
    *,
    config: ConfigOption = None,
    consumer: ConsumerOption = None,
    retried: Annotated[bool, typer.Option("--retried", help="Also those that were retried.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Offset, time, where each came from, why it was refused. Those that were retried are left out."""
    from dataclasses import asdict  # noqa: PLC0415

    import orjson  # noqa: PLC0415

    from feed.operate.desk import Desk  # noqa: PLC0415
    from feed.operate.gaps import time_text  # noqa: PLC0415

    desk = Desk(load(config), consumer)
    letters = [letter for letter in desk.letters() if retried or letter.open]
    if as_json:
        for letter in letters:
            typer.echo(orjson.dumps({**asdict(letter), "open": letter.open}).decode())
        return
    table = Table("offset", "when", "from", "reason", "retried")
    for letter in letters:
        again = "" if letter.retried_at_ms is None else f"{time_text(letter.retried_at_ms)} {letter.outcome}"
        why = f"{letter.reason} ({letter.path})" if letter.path else letter.reason
        table.add_row(str(letter.offset), time_text(letter.at_ms), escape(letter.origin), escape(why), escape(again))
    stdout().print(table if letters else f"no {'' if retried else 'open '}dead letters in {desk.topic}", markup=False)


@app.command(epilog="Example: feed dead-letters show 17 --consumer warehouse")
def show(
    offset: Annotated[int, typer.Argument(help="Which, as `list` says.", min=0)],
    *,
    config: ConfigOption = None,
    consumer: ConsumerOption = None,
) -> None:
    """One dead letter whole, as JSON: headers, and the value decoded, else as hex with the reason."""
    from feed.operate.desk import Desk  # noqa: PLC0415

    typer.echo(Desk(load(config), consumer).shown(offset).decode())


@app.command(epilog="Example: feed dead-letters retry 17 18 --consumer warehouse")
def retry(
    offsets: Annotated[list[int] | None, typer.Argument(help="Which, as `list` says.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All open ones, oldest first, up to --limit.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most with --all.")] = 100,
    config: ConfigOption = None,
    consumer: ConsumerOption = None,
) -> None:
    """Once more: a consumer's to its own sink, the producer's into the topic. Exit code 1 when one stays open.

    A consumer's record is given to that consumer's sink in this process, and to no other group. A producer's keeps its
    ordinal and identity; it comes behind later changes of its key, and consumers tell by its version that it is older.
    """
    from feed.operate.desk import Desk  # noqa: PLC0415

    if bool(offsets) is everything:
        raise ConfigError("name dead letters by their offsets, or use --all", hint="`feed dead-letters list` has them")
    desk, stays_open = Desk(load(config), consumer), False
    for tried in desk.retry(tuple(offsets or ()), limit=limit):
        typer.echo(f"{tried.offset}: {tried.outcome}")
        stays_open = stays_open or tried.stays_open
    raise typer.Exit(1 if stays_open else 0)
