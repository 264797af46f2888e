"""``feed rights``: what each process may do, as IAM policies and as ACLs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from feed.cli.options import ConfigOption, load
from feed.rights import Facts, process_names, rights_of
from schemas.errors import ConfigError

Processes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROCESS]...",
        help="producer, snapshot, topics, look, consumer-NAME, mirror-watch-REGION, mirror-audit-REGION; else all.",
    ),
]
ClusterOption = Annotated[
    list[str] | None,
    typer.Option("--cluster", metavar="REGION=ARN", help="ARN of a region's MSK cluster; once for each that asks IAM."),
]


def rights(  # noqa: PLR0917 (typer calls it by name)
    process: Processes = None,
    account: Annotated[str, typer.Option(help="Number of the AWS account that holds tables and buckets.")] = "",
    cluster: ClusterOption = None,
    principal: Annotated[
        str, typer.Option(help="Whom ACLs name with TLS; {process} becomes the process's name.")
    ] = "User:{process}",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write files there instead of printing.")] = None,
    config: ConfigOption = None,
) -> None:
    """What each process may do, and no more: IAM policies, and ACLs where a cluster does not ask IAM.

    MirrorMaker's own are written by `feed mirror render`.
    """
    loaded = load(config)
    if not re.fullmatch(r"[0-9]{12}", account):
        raise ConfigError(
            f"--account {account!r} is no AWS account" if account else "the AWS account is not named",
            hint="--account 111122223333 (`aws sts get-caller-identity` shows it)",
        )
    facts = Facts(account, dict(_cluster(loaded.regions, text) for text in cluster or ()), principal)
    for name in process or process_names(loaded):
        found = rights_of(loaded, name, facts)
        for file, text in found.files().items():
            if out is None:
                typer.echo(f"# {file}: {found.command}\n{text}")
            else:
                out.mkdir(parents=True, exist_ok=True)
                (out / file).write_text(text, encoding="utf-8")
                typer.echo(f"{out / file}: {found.command}")


def _cluster(regions: Mapping[str, object], text: str) -> tuple[str, str]:
    region, _, arn = text.partition("=")
    if region not in regions or not arn:
        raise ConfigError(
            f"--cluster {text}: REGION=ARN is expected", hint=f"regions of feed.yaml: {', '.join(sorted(regions))}"
        )
    return region, arn
