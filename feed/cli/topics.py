"""``feed topics``: the topics of every region, as the configuration wants them."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.kafka import TopicPlan
from feed.cli.options import ConfigOption, load
from feed.run.topics import apply_topics, topic_plans

app = typer.Typer(no_args_is_help=True, help="Create and correct topics in every region.")

AllowRepartition = Annotated[
    bool,
    typer.Option(
        "--allow-repartition",
        help="Let a topic grow to more partitions. Keys written before stay where they are while the same keys written "
        "after go elsewhere, so their order is lost unless producers are stopped and consumers drained first.",
    ),
]


def _print(plans: dict[str, TopicPlan]) -> None:
    for region, plan in plans.items():
        for change in plan.changes:
            typer.echo(f"{region}: {change.kind} {change.topic}: {change.detail}")
        for reason in plan.refused:
            typer.echo(f"{region}: REFUSED {reason}")
        if not plan.changes and not plan.refused:
            typer.echo(f"{region}: nothing to do, {len(plan.specs)} topics are right")


@app.command(epilog="Example: feed topics plan -c feed.yaml")
def plan(config: ConfigOption = None, allow_repartition: AllowRepartition = False) -> None:
    """Show what apply would do, and change nothing."""
    _print(topic_plans(load(config), allow_repartition=allow_repartition))


@app.command(epilog="Example: feed topics apply -c feed.yaml")
def apply(config: ConfigOption = None, allow_repartition: AllowRepartition = False) -> None:
    """Create or correct the feed's topics in every region; a partition count is never changed unless told to."""
    _print(apply_topics(load(config), allow_repartition=allow_repartition))
