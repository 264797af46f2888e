"""``feed slots resize``: refused while the feed has producers, then done by :class:`producers.stream.Resize`."""

from __future__ import annotations

from dataclasses import replace

from connectors.kafka import KafkaClients, apply_plan, describe_topics, plan_topics
from feed.config import FeedConfig, topic_specs
from feed.operate.group import assignment_of
from feed.run.process import now_ms
from producers.stream import PositionsTopic, Resize, Resized
from schemas.errors import ConfigError, RetryableError


def resize_slots(config: FeedConfig, clients: KafkaClients, slots: int) -> Resized:
    """Bring the feed to ``slots`` slots.

    Raises:
        ConfigError: a producer of the feed is there, or the slots cannot be resized now; nothing was changed.
        RetryableError, FatalError: see :meth:`producers.stream.Resize.run`.
    """
    check_empty(clients, config.feed)

    def create(topic: PositionsTopic) -> None:
        """The topic, with the settings of the positions topic; one that an interrupted resize made is taken."""
        specs = topic_specs(config, config.table.region, positions=topic.name)
        spec = replace(next(spec for spec in specs if spec.name == topic.name), partitions=topic.slots)
        apply_plan(clients.admin(), plan_topics([spec], describe_topics(clients.admin(), [spec.name])))

    return Resize(clients, config.feed, config.producer, create=create, now_ms=now_ms).run(slots)


def check_empty(clients: KafkaClients, feed: str) -> None:
    """The group of the feed's producers has no member.

    Raises:
        ConfigError: it has, and these are they.
        RetryableError: its coordinator does not say.
    """
    group = f"{feed}.producer"
    found = assignment_of(clients.admin(), group, "")
    if found.fault:
        raise RetryableError(f"who is in the group {group} is not known: {found.fault}", hint="try again")
    if found.members:
        raise ConfigError(
            f"the group {group} has members: {', '.join(found.members)}",
            hint="stop every producer of the feed; one that was killed is a member until its session has timed out",
        )
