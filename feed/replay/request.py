"""Who a replay is for, and where it comes from: resolved from ``feed.yaml``, or refused with a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.kafka import TopicSpec
from feed.config import FeedConfig
from feed.config.consumers import TAKES_NO_REPLAY, WHEN_LAPSED, ArchiveConsumer
from schemas.errors import ConfigError
from schemas.replay import replay_group, replay_topic

ROOM_BYTES: Final = 1024 * 1024
"""What a replayed record may be larger than the largest of the live topic: a replay adds two headers."""


@dataclass(frozen=True, slots=True)
class Range:
    """What was asked for; None where it was left open."""

    from_ms: int | None = None
    to_ms: int | None = None
    order: str | None = None

    @property
    def given(self) -> bool:
        """Whether anything was."""
        return self != Range()


@dataclass(frozen=True, slots=True)
class Request:
    """A consumer that takes replays, and the archive that has them."""

    config: FeedConfig
    consumer: str
    region: str
    """The consumer's region."""
    archive: ArchiveConsumer
    archive_name: str

    @property
    def group(self) -> str:
        """The live group."""
        return f"{self.config.feed}.{self.consumer}"

    @property
    def topic(self) -> str:
        """The replay's topic."""
        return replay_topic(self.config.feed, self.consumer)

    @property
    def read_by(self) -> str:
        """The group that reads the replay."""
        return replay_group(self.group)

    def spec(self, partitions: int) -> TopicSpec:
        """The topic as it is to be: kept until it is deleted, and never aged by the time of its events."""
        region = self.config.regions[self.region]
        return TopicSpec(
            self.topic,
            partitions,
            region.replication_factor,
            {
                "min.insync.replicas": str(region.min_insync_replicas),
                "max.message.bytes": str(self.config.topic.max_message_bytes + ROOM_BYTES),
                "message.timestamp.type": "LogAppendTime",
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "retention.bytes": "-1",
            },
        )


def request_of(config: FeedConfig, consumer: str) -> Request:
    """Resolve the consumer's name.

    Raises:
        ConfigError: there is no such consumer, it takes no replays, or there is no archive.
    """
    section = config.consumers.get(consumer)
    taking = (
        ", ".join(sorted(name for name, each in config.consumers.items() if each.kind not in TAKES_NO_REPLAY)) or "none"
    )
    if section is None:
        raise ConfigError(f"feed.yaml has no consumer {consumer!r}", hint=f"those that take replays: {taking}")
    if (why := TAKES_NO_REPLAY.get(section.kind)) is not None:
        raise ConfigError(
            f"the consumer {consumer} takes no replay: {why}",
            hint=f"those that take replays: {taking}. If {consumer} has lapsed: {WHEN_LAPSED[section.kind]}",
        )
    archives = {name: each for name, each in config.consumers.items() if isinstance(each, ArchiveConsumer)}
    if not archives:
        raise ConfigError("feed.yaml has no consumer of kind archive", hint="a replay is made from the archive")
    name, archive = next(iter(archives.items()))
    return Request(config, consumer, section.region, archive, name)
