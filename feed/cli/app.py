"""All commands under one name."""

from __future__ import annotations

import sys

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
from schemas.errors import FeedError

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


def main() -> None:
    """Entry point of the ``feed`` script."""
    try:
        app()
    except FeedError as error:
        sys.exit(report(error, Console(stderr=True)))
