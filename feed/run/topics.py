"""The topics of every region: what each needs, and bringing it there."""

from __future__ import annotations

from connectors.kafka import KafkaClients, TopicPlan, apply_plan, describe_topics, plan_topics
from feed.config import FeedConfig, topic_specs
from producers.stream import find_positions
from schemas.errors import ConfigError


def topic_plans(config: FeedConfig, *, allow_repartition: bool = False) -> dict[str, TopicPlan]:
    """What each region needs; asks every cluster, changes nothing."""
    plans = {}
    for region, settings in config.regions.items():
        if not config.has_topic(region):
            continue
        clients = KafkaClients(settings.kafka, client_id="feed-topics")
        clients.check(region)
        specs = topic_specs(config, region, positions=_positions(config, region, clients))
        states = describe_topics(clients.admin(), [spec.name for spec in specs])
        plans[region] = plan_topics(specs, states, allow_repartition=allow_repartition)
    return plans


def _positions(config: FeedConfig, region: str, clients: KafkaClients) -> str | None:
    """The positions topic in use; None where there is none yet, or none belongs."""
    if region != config.table.region:
        return None
    try:
        return find_positions(clients, config.feed).name
    except ConfigError:
        return None


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
