"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from feed.config import FeedConfig, config_file, load_config

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", "-c", metavar="FILE", help="The feed.yaml; else $FEED_CONFIG, else ./feed.yaml."),
]


def load(config: str | None) -> FeedConfig:
    """The configuration that a command was given."""
    return load_config(config_file(config))
