"""``feed analytics``: the data warehouse, asked."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from feed.cli.options import ConfigOption, load
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Ask the data warehouse.")


@app.callback()
def analytics() -> None:
    """Ask the data warehouse."""


@app.command(epilog='Example: feed analytics query "SELECT status, COUNT(*) FROM public.orders GROUP BY status"')
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, in Redshift's SQL.")],
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line for each row instead of a table.")] = False,
) -> None:
    """Run one query over the Data API and print its rows.

    Tables: orders (living items), orders_current, orders_history, load_ledger.
    """
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from connectors.redshift import Redshift  # noqa: PLC0415
    from feed.config.consumers import AnalyticsConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, AnalyticsConsumer):
            aws = AwsClients(loaded.regions[section.region].aws)
            rows = Redshift(aws.client("redshift-data"), section.warehouse).query(sql)
            break
    else:
        raise ConfigError("feed.yaml has no consumer of kind analytics", hint="add one under consumers")
    if as_json:
        for row in rows:
            typer.echo(orjson.dumps(row).decode())
        return
    table = Table(*(rows[0] if rows else ()))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table if rows else "no rows")
