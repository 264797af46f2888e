"""Which topics a feed needs in a region, with every setting that a promise rests on."""

from __future__ import annotations

from dataclasses import replace

from connectors.kafka import TopicSpec
from feed.config.root import FeedConfig
from schemas.snapshot import snapshot_topic

HOUR_MS = 3_600_000
SOURCE_RETENTION_HOURS = 168
TARGET_RETENTION_HOURS = 24
DEAD_LETTER_RETENTION_MS = 90 * 24 * HOUR_MS


def topic_specs(config: FeedConfig, region: str, *, positions: str | None = None) -> tuple[TopicSpec, ...]:
    """The feed's topics in ``region``: changes and control everywhere, positions and dead letters at the source.

    ``positions`` names the positions topic that is in use, where a resize has made a newer one.
    """
    if not config.has_topic(region):
        return ()
    settings = config.regions[region]
    at_source = region == config.table.region
    shared = {
        "min.insync.replicas": str(settings.min_insync_replicas),
        "max.message.bytes": str(config.topic.max_message_bytes),
        # a copy that arrives after a long outage counts its retention from arrival, or it would be deleted at once
        "message.timestamp.type": "CreateTime" if at_source else "LogAppendTime",
        "cleanup.policy": "delete",
    }
    retention_hours = settings.retention_hours or (SOURCE_RETENTION_HOURS if at_source else TARGET_RETENTION_HOURS)

    def spec(name: str, partitions: int, **own: str) -> TopicSpec:
        config_of = shared | {key.replace("_", "."): value for key, value in own.items()}
        return TopicSpec(name, partitions, settings.replication_factor, config_of)

    specs = [
        spec(config.feed, config.topic.partitions, retention_ms=str(retention_hours * HOUR_MS)),
        # a few records for each shard; the lineage of shards must stay provable for as long as the archive lives
        spec(f"{config.feed}.control", 1, retention_ms="-1"),
    ]
    if at_source:
        slots = spec(
            positions or f"{config.feed}.positions",
            config.topic.slots,
            cleanup_policy="compact",
            # the active segment is never compacted, and a take-over reads it to its end: keep it small
            segment_bytes=str(1024 * 1024),  # Kafka's least: some ten thousand positions, a tenth of a second to read
            segment_ms=str(10 * 60 * 1000),
            min_cleanable_dirty_ratio="0.1",
        )
        specs += [
            replace(slots, resized_by=f"feed slots resize {config.topic.slots}"),
            # how far a first load is, and whether one is due: a few hundred bytes, compacted
            spec(snapshot_topic(config.feed), 1, cleanup_policy="compact", segment_bytes=str(16 * 1024 * 1024)),
            spec(f"{config.feed}.dead-letter", 1, retention_ms=str(DEAD_LETTER_RETENTION_MS)),
        ]
    else:
        # what the audit of this region's copy found; a few records, if any
        specs.append(spec(f"{config.feed}.mirror-audit", 1, retention_ms="-1"))
    specs += [
        spec(f"{config.feed}.{name}.dead-letter", 1, retention_ms=str(DEAD_LETTER_RETENTION_MS))
        for name, consumer in config.consumers.items()
        if consumer.region == region
    ]
    return tuple(specs)
