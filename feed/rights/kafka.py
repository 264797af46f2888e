"""What each process may do on the clusters, by region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from connectors.kafka import READER_GROUP, Grant
from feed.config import FeedConfig, topic_specs
from feed.config.consumers import TAKES_NO_REPLAY, ArchiveConsumer, AuditConsumer
from feed.rights.processes import Kind, OfProcess
from feed.run.flows import flows_of
from mirrormaker.render import Form, names_of
from schemas.replay import replay_group, replay_topic

READ: Final = ("Describe", "DescribeConfigs", "Read")
WRITE: Final = ("Describe", "DescribeConfigs", "Write")
READ_AND_WRITE: Final = (*READ, "Write")
JOIN: Final = ("Describe", "Read")
CONNECT: Final = Grant("Connect", "cluster", (), ("Describe",))
WRITE_ONCE: Final = Grant("ConnectAndWriteOnce", "cluster", (), ("Describe", "IdempotentWrite"))
NAMED_FORMS: Final = (Form.DEDICATED, Form.CONNECT, Form.STRIMZI)
"""Forms of MirrorMaker whose topics can be asked: a managed service names its own."""

READERS: Final = Grant("LookWithoutAGroup", "group", (READER_GROUP,), ("Describe",))
"""A reader joins no group, and its client asks who would coordinate one all the same."""


def kafka_grants(config: FeedConfig, process: OfProcess) -> Mapping[str, tuple[Grant, ...]]:
    """Region → what the process may do on its cluster."""
    return _RULES[process.kind](config, process)


def _producer(config: FeedConfig, _: OfProcess) -> dict[str, tuple[Grant, ...]]:
    feed = config.feed
    grants = (
        WRITE_ONCE,
        Grant("Publish", "topic", (feed, f"{feed}.control", f"{feed}.dead-letter"), WRITE),
        # the star: a resize makes another version of the positions, and ids of its own
        Grant("KeepPositions", "topic", (f"{feed}.positions*", f"{feed}.snapshot"), READ_AND_WRITE),
        Grant("ShareTheSlots", "group", (f"{feed}.producer",), JOIN),
        READERS,
        Grant("OneTransactionASlot", "transactional-id", _slot_ids(feed), ("Describe", "Write")),
    )
    return {config.table.region: grants}


def _slot_ids(feed: str) -> tuple[str, ...]:
    return (f"{feed}.slot-*", f"{feed}.v*", f"{feed}.snapshot")


def _snapshot(config: FeedConfig, _: OfProcess) -> dict[str, tuple[Grant, ...]]:
    feed = config.feed
    grants = (
        WRITE_ONCE,
        Grant("PublishRows", "topic", (feed, f"{feed}.control", f"{feed}.dead-letter"), WRITE),
        Grant("KeepItsProgress", "topic", (f"{feed}.snapshot",), READ_AND_WRITE),
        Grant("FollowPositions", "topic", (f"{feed}.positions*",), READ),
        READERS,
        Grant("OneTransactionAPage", "transactional-id", (f"{feed}.snapshot",), ("Describe", "Write")),
    )
    return {config.table.region: grants}


def _topics(config: FeedConfig, _: OfProcess) -> dict[str, tuple[Grant, ...]]:
    found = {}
    for region in config.regions:
        if names := tuple(spec.name for spec in topic_specs(config, region)):
            may = ("Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs")
            found[region] = (CONNECT, Grant("MakeTopics", "topic", names, may))
    feed, source = config.feed, config.table.region
    resized = (
        Grant("SeeResizedPositions", "topic", (f"{feed}.positions*",), ("Describe", "DescribeConfigs", "Read")),
        READERS,
    )
    return found | {source: (*found[source], *resized)}


def _look(config: FeedConfig, _: OfProcess) -> dict[str, tuple[Grant, ...]]:
    feed = config.feed
    reading = (
        CONNECT,
        Grant("ReadTheFeed", "topic", (feed, f"{feed}.*"), READ),
        Grant("SeeItsGroups", "group", (f"{feed}.*",), ("Describe",)),
        READERS,
    )
    return {region: reading for region in config.regions if config.has_topic(region)}


def _consumer(config: FeedConfig, process: OfProcess) -> dict[str, tuple[Grant, ...]]:
    section, group = process.section, f"{config.feed}.{process.consumer}"
    assert section is not None  # noqa: S101 - a consumer has a section
    topics, groups = [config.feed], [group]
    if isinstance(section, AuditConsumer | ArchiveConsumer):
        topics.append(f"{config.feed}.control")
        groups.append(f"{group}.control")
    if section.kind not in TAKES_NO_REPLAY:
        topics.append(replay_topic(config.feed, process.consumer))
        groups.append(replay_group(group))
    grants = (
        WRITE_ONCE,
        Grant("ReadTheFeed", "topic", tuple(topics), READ),
        Grant("KeepWhatIsRefused", "topic", (f"{group}.dead-letter",), WRITE),
        Grant("ShareThePartitions", "group", tuple(groups), JOIN),
        READERS,
    )
    return {section.region: grants}


def _mirror_watch(config: FeedConfig, process: OfProcess) -> dict[str, tuple[Grant, ...]]:
    """It reads where MirrorMaker keeps its offsets and states, in the forms whose topics have names of ours."""
    (flow,) = flows_of(config, region=process.target)
    internal = {topic for form in NAMED_FORMS for topic in names_of(form, flow).worker_topics}
    at_target = (CONNECT, Grant("SeeItsState", "topic", tuple(sorted(internal)), READ), READERS)
    return {config.table.region: _at_source(config), process.target: at_target}


def _mirror_audit(config: FeedConfig, process: OfProcess) -> dict[str, tuple[Grant, ...]]:
    feed = config.feed
    at_target = (
        WRITE_ONCE,
        Grant("ReadTheCopy", "topic", (feed, f"{feed}.control"), READ),
        Grant("TellDifferences", "topic", (f"{feed}.mirror-audit",), READ_AND_WRITE),
        READERS,
    )
    return {config.table.region: _at_source(config), process.target: at_target}


def _at_source(config: FeedConfig) -> tuple[Grant, ...]:
    return (CONNECT, Grant("ReadTheOriginal", "topic", (config.feed, f"{config.feed}.control"), READ), READERS)


_RULES: Final[Mapping[Kind, Callable[[FeedConfig, OfProcess], dict[str, tuple[Grant, ...]]]]] = {
    "producer": _producer,
    "snapshot": _snapshot,
    "topics": _topics,
    "look": _look,
    "consumer": _consumer,
    "mirror-watch": _mirror_watch,
    "mirror-audit": _mirror_audit,
}
