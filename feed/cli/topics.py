"""``feed topics``: the topics of every region, as the configuration wants them."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.kafka import KafkaClients, TopicPlan, apply_plan, describe_topics, plan_topics
from feed.cli.options import ConfigOption, load
from feed.config import FeedConfig, topic_specs
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Create and correct topics in every region.")

AllowRepartition = Annotated[
    bool,
    typer.Option(
        "--allow-repartition",
        help="Let a topic grow to more partitions. Keys written before stay where they are while the same keys written "
        "after go elsewhere, so their order is lost unless producers are stopped and consumers drained first.",
    ),
]


def topic_plans(config: FeedConfig, *, allow_repartition: bool = False) -> dict[str, TopicPlan]:
    """What each region needs; asks every cluster, changes nothing."""
    plans = {}
    for region, settings in config.regions.items():
        specs = topic_specs(config, region)
        if not specs:
            continue
        clients = KafkaClients(settings.kafka, client_id="feed-topics")
        clients.check(region)
        states = describe_topics(clients.admin(), [spec.name for spec in specs])
        plans[region] = plan_topics(specs, states, allow_repartition=allow_repartition)
    return plans


def apply_topics(config: FeedConfig, *, allow_repartition: bool = False) -> dict[str, TopicPlan]:
    """Bring every region to its plan; changes nothing anywhere when any region refuses.

    Raises:
        ConfigError: a region refuses a step; ``faults`` has each.
    """
    plans = topic_plans(config, allow_repartition=allow_repartition)
    refused = tuple(f"{region}: {reason}" for region, plan in plans.items() for reason in plan.refused)
    if refused:
        raise ConfigError(refused[0], hint="nothing was changed in any region", faults=refused)
    for region, plan in plans.items():
        apply_plan(KafkaClients(config.regions[region].kafka, client_id="feed-topics").admin(), plan)
    return plans


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
