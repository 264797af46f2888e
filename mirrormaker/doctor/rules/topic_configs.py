"""What becomes of topics' configurations and ACLs: which of the source's reach the target, and what they do there."""

from __future__ import annotations

from collections.abc import Iterator

from mirrormaker.doctor.checks import hit, is_one_of, unless
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Herder, Part
from mirrormaker.doctor.resolution import is_true
from mirrormaker.doctor.rule import Hit, Rule, line_to_write
from mirrormaker.doctor.rules.copying import matches, patterns
from mirrormaker.doctor.setup import Setup

_EXCLUDED_BY_DEFAULT = (
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "message.timestamp.difference.max.ms",
    "message.timestamp.type",
    "unclean.leader.election.enable",
    "min.insync.replicas",
)
_EXCLUDE = "config.properties.exclude"
_TIMES = ("message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms")


def syncs_configs(herder: Herder) -> bool:
    """Topic configurations are copied (the default)."""
    return is_true(herder.connectors[Part.SOURCE].get("sync.topic.configs.enabled"), default=True)


def excludes(herder: Herder, key: str) -> bool:
    """A topic's configuration key is left out of the sync."""
    given = patterns(herder.connectors[Part.SOURCE], _EXCLUDE, ",".join(_EXCLUDED_BY_DEFAULT))
    return any(matches(pattern, key) for pattern in given)


def _wipes_retention(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        if syncs_configs(herder) and not excludes(herder, "retention.ms"):
            connector = herder.connectors[Part.SOURCE]
            given = connector.get(_EXCLUDE) or connector.get("sync.topic.configs.enabled")
            yield hit(herder, Part.SOURCE, "sync.topic.configs.enabled", given, "false")


def _replaced_defaults(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        given = herder.connectors[Part.SOURCE].get(_EXCLUDE)
        missing = [key for key in _EXCLUDED_BY_DEFAULT if given and not excludes(herder, key)]
        if given and missing and syncs_configs(herder):
            yield Hit(
                given,
                facts={"missing": ", ".join(missing)},
                fix=line_to_write(given.key, ", ".join([given.text.strip(), *missing]), given),
            )


def _timestamps(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        missing = [key for key in _TIMES if syncs_configs(herder) and not excludes(herder, key)]
        if missing:
            given = herder.connectors[Part.SOURCE].get(_EXCLUDE)
            found = hit(herder, Part.SOURCE, _EXCLUDE, given, "…, message.timestamp.*")
            yield Hit(found.at, found.key, "", {**found.facts, "missing": ", ".join(missing)})


def _expires_on_arrival(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        if syncs_configs(herder):
            yield Hit(herder.anchor, key="message.timestamp.type", facts={"target": herder.target})


def _acls(setup: Setup) -> Iterator[Hit]:
    yield from unless(Part.SOURCE, "sync.topic.acls.enabled", is_one_of("false"), write="false", default="true")(setup)


RULES = (
    Rule(
        "MM13",
        "the target's retention is wiped",
        Severity.LOSS,
        "Topic configurations are synced and retention.ms is not excluded: where the source has no value of its own, "
        "the "
        "target's is deleted at each sync, and records go sooner than planned; where it has one, it replaces the "
        "target's.",
        "Or exclude retention.ms and retention.bytes (and repeat the defaults in that list).",
        "MirrorSourceConnector.syncTopicConfigs; KIP-382",
        _wipes_retention,
    ),
    Rule(
        "MM14",
        "a list that replaces the defaults",
        Severity.SURPRISE,
        "This list replaces Kafka's own, which also excludes: {missing}. These are now overwritten at the target.",
        "",
        "DefaultConfigPropertyFilter",
        _replaced_defaults,
    ),
    Rule(
        "MM15",
        "ACLs are copied",
        Severity.SURPRISE,
        "Literal topic ACLs of the source are created at the target, ALL becomes READ, and under IAM (no authorizer of "
        "Kafka) "
        "each sync only logs errors.",
        "Decide in each cluster who may read.",
        "MirrorSourceConnector.syncTopicAcls",
        _acls,
    ),
    Rule(
        "MM31",
        "the source's time rules reach the target",
        Severity.LOSS,
        "Topic configurations are synced without excluding {missing}. LogAppendTime would rewrite the copies' times; "
        "limits on "
        "times make the target refuse old records after an outage, and the task fails.",
        "Exclude message.timestamp.type, message.timestamp.before.max.ms and message.timestamp.after.max.ms (the "
        "default list "
        "of 4.x names the last two with a prefix that topics do not have), or turn the sync off.",
        "DefaultConfigPropertyFilter; TopicConfig",
        _timestamps,
        certain=False,
    ),
    Rule(
        "MM41",
        "copies that expire on arrival",
        Severity.LOSS,
        "Copied records keep the source's times, and retention counts from them: after an outage longer than "
        "{target}'s "
        "retention the copies are deleted as soon as they arrive.",
        "Give the target's topic message.timestamp.type=LogAppendTime, or a longer retention than the source's.",
        "LogConfig; TopicConfig",
        _expires_on_arrival,
        certain=False,
    ),
)
