"""Which table a feed publishes, and how, as the producers take it."""

from __future__ import annotations

from feed.config import FeedConfig
from producers.stream import FeedSource


def source_of(config: FeedConfig) -> FeedSource:
    """The feed's source, with what its filter leaves out of the images."""
    table = config.table
    return FeedSource(
        feed=config.feed,
        table=table.name,
        region=config.source.aws.region,
        time_attribute=table.time_attribute,
        region_attribute=table.region_attribute,
        omit=frozenset(config.producer.filter.omit),
    )
