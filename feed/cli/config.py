"""``feed config``: what the configuration is, whether it can work, what it may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from feed.cli.options import ConfigOption, load
from feed.config import FeedConfig, masked

app = typer.Typer(no_args_is_help=True, help="Show and check the configuration.")


@app.command(epilog="Example: feed config show -c deploy/feed.yaml")
def show(config: ConfigOption = None) -> None:
    """Print the effective values, defaults included, secrets masked."""
    typer.echo(yaml.safe_dump(masked(load(config)), sort_keys=False, allow_unicode=True).rstrip())


@app.command(epilog="Example: feed config check && feed topics apply")
def check(config: ConfigOption = None) -> None:
    """Say what is wrong, a sentence for each fault; exit code 2 when anything is."""
    checked = load(config)
    typer.echo(f"ok: feed {checked.feed}: table {checked.table.name}, regions {', '.join(sorted(checked.regions))}")


@app.command(epilog="Example: feed config schema --out feed.schema.json")
def schema(out: Annotated[str | None, typer.Option(help="Write to this file instead of printing.")] = None) -> None:
    """Print the JSON schema of feed.yaml, for editors."""
    text = json.dumps(FeedConfig.model_json_schema(), indent=2)
    if out is None:
        typer.echo(text)
    else:
        Path(out).write_text(text + "\n", encoding="utf-8")
