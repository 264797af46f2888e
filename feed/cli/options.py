"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from feed.config import FeedConfig, config_file, load_config

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", "-c", metavar="FILE", help="The feed.yaml; else $FEED_CONFIG, else ./feed.yaml."),
]

ConfigsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="A feed.yaml; may be given again. Else $FEED_CONFIG, else ./feed.yaml."
    ),
]

RegionsOption = Annotated[str, typer.Option("--regions", help="Which regions, the table's (eu) among them.")]

NoDelayOption = Annotated[
    bool, typer.Option("--no-delay", help="Leave out the round trip of the real distance between the regions.")
]

ReplicaDelayOption = Annotated[
    int | None,
    typer.Option(
        "--replica-delay-ms",
        help="Copy the table to the warehouse's region so much later, as a stand-in for a global table, and let "
        "the warehouse look each order up there.",
    ),
]


def load(config: str | None) -> FeedConfig:
    """The configuration that a command was given."""
    return load_config(config_file(config))


def load_all(configs: list[str] | None) -> list[FeedConfig]:
    """The configurations that a command was given: one feed each."""
    return [load(config) for config in configs] if configs else [load(None)]


def milliseconds(at: datetime | None) -> int | None:
    """A time that was given, UTC where it names no zone, in milliseconds since the epoch; None stays None."""
    if at is None:
        return None
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)
