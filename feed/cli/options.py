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
