"""``feed analytics``: the data warehouse, asked; and three reports on it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout
from feed.reports import BUCKETS, REPORTS, Palette, Report, draw, read_only, sql_of
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from connectors.redshift import Answer, Redshift

NAMES = tuple(one.name for one in REPORTS)

app = typer.Typer(no_args_is_help=True, help="Ask the data warehouse.")

AsJson = Annotated[bool, typer.Option("--json", help="A JSON line for each row instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header instead of a table.")]


@app.callback()
def analytics() -> None:
    """Ask the data warehouse."""


@app.command(epilog='Example: feed analytics query "SELECT status, COUNT(*) FROM public.orders GROUP BY status"')
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, in Redshift's SQL.")],
    *,
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows that are printed; more are counted.")] = 1_000,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Run one query over the Data API and print its rows; anything that writes is refused.

    Tables: orders (living items), orders_current, orders_history, load_ledger.
    """
    read_only(sql)
    answer = _warehouse(config).redshift.ask(sql, at_most=limit)
    _print(answer, as_json=as_json, as_csv=as_csv)
    if answer.total > len(answer.rows):
        typer.echo(f"the first {len(answer.rows)} of {answer.total} rows; --limit shows more", err=True)


@app.command(epilog="Example: feed analytics report time-in-status; feed analytics report --svg pictures --bucket hour")
def report(
    name: Annotated[
        str | None, typer.Argument(help=f"{', '.join(one.name for one in REPORTS)}; all by default.")
    ] = None,
    *,
    config: ConfigOption = None,
    bucket: Annotated[str, typer.Option(help=f"What times are cut to: {', '.join(BUCKETS)}.")] = "minute",
    svg: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw charts into this folder, for light and dark pages.")
    ] = None,
    show_sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, and ask nobody.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Orders by status over time, time in each status, throughput: as tables, or drawn."""
    chosen = _chosen(name)
    warehouse = _warehouse(config)
    for one in chosen:
        sql = sql_of(one, history=warehouse.history, bucket=bucket)
        if show_sql:
            typer.echo(f"-- {one.title}: {one.says}\n{sql};\n")
            continue
        answer = warehouse.redshift.ask(sql)
        if svg is not None:
            _draw(one, answer, bucket, svg)
            continue
        if not (as_json or as_csv):
            typer.echo(f"{one.title}: {one.says}")
        _print(answer, as_json=as_json, as_csv=as_csv)


@dataclass(frozen=True, slots=True)
class _Warehouse:
    redshift: Redshift
    history: str


def _warehouse(config: str | None) -> _Warehouse:
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from connectors.redshift import Redshift  # noqa: PLC0415
    from feed.config.consumers import AnalyticsConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, AnalyticsConsumer):
            aws = AwsClients(loaded.regions[section.region].aws)
            redshift = Redshift(aws.client("redshift-data"), section.warehouse)
            return _Warehouse(redshift, f"{section.sink.warehouse_schema}.{section.sink.table}_history")
    raise ConfigError("feed.yaml has no consumer of kind analytics", hint="add one under consumers")


def _chosen(name: str | None) -> tuple[Report, ...]:
    chosen = tuple(one for one in REPORTS if name in {None, one.name})
    if not chosen:
        raise ConfigError(f"there is no report {name}", hint=f"one of {', '.join(NAMES)}")
    return chosen


def _print(answer: Answer, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        for named in _named(answer):
            typer.echo(orjson.dumps(named).decode())
        return
    if as_csv:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
        typer.echo(text.getvalue(), nl=False)
        return
    console = stdout()
    if not answer.rows:
        console.print("no rows")
        return
    table = Table(*answer.columns)
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def _draw(one: Report, answer: Answer, bucket: str, folder: Path) -> None:
    if not answer.rows:
        raise ConfigError(f"there is nothing to draw: {one.name} has no rows", hint="is the history still empty?")
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(_named(answer))
    for palette in Palette:
        file = folder / f"{one.name}-{palette}.svg"
        file.write_text(draw(one.name, rows, bucket=bucket, palette=palette), encoding="utf-8")
        typer.echo(str(file))


def _named(answer: Answer) -> Iterable[dict[str, Any]]:
    return (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
