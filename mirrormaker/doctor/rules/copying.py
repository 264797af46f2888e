"""What is copied, into which topics, and what becomes of their configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from mirrormaker.doctor.bounds import may_take_for_ever
from mirrormaker.doctor.checks import hit, number, unless
from mirrormaker.doctor.document import Settings
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Herder, Part
from mirrormaker.doctor.rule import Hit, Rule, line_to_write
from mirrormaker.doctor.setup import Setup

_EXCLUDE_WITH_INTERNAL = r"mm2.*\.internal, .*\.replica, __.*, .*\.internal"
_INTERNAL_FACTORS = {
    Part.SOURCE: ("replication.factor", "offset-syncs.topic.replication.factor"),
    Part.CHECKPOINT: ("checkpoints.topic.replication.factor",),
    Part.HEARTBEAT: ("heartbeats.topic.replication.factor",),
}


def patterns(settings: Settings, key: str, default: str = "") -> tuple[str, ...]:
    """A list of names and patterns as MirrorMaker splits it."""
    text = settings[key].text if key in settings else default
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _loop(setup: Setup) -> Iterator[Hit]:
    for one, other in combinations(setup.copying, 2):
        if (one.source, one.target) != (other.target, other.source):
            continue
        if _identity(one) and _identity(other) and _overlap(one, other):
            yield Hit(other.anchor, facts={"one": one.name, "other": other.name})


def _identity(herder: Herder) -> bool:
    policy = herder.connectors[Part.SOURCE].get("replication.policy.class")
    return bool(policy and policy.text.strip().endswith("IdentityReplicationPolicy"))


def _overlap(one: Herder, other: Herder) -> bool:
    """Some topic is copied both ways: the lists share a member, or an example of one is taken by the other."""
    first = set(patterns(one.connectors[Part.SOURCE], "topics", ".*"))
    second = set(patterns(other.connectors[Part.SOURCE], "topics", ".*"))
    examples = {name for pattern in first | second for name in _examples(pattern)}
    return bool(first & second) or any(_takes(first, name) and _takes(second, name) for name in examples)


def _takes(given: set[str], name: str) -> bool:
    return any(matches(pattern, name) for pattern in given)


def _examples(pattern: str) -> tuple[str, ...]:
    """Names that a pattern may match: its literal beginning, alone and with more behind it."""
    begin = _literal_begin(pattern).replace("\\.", ".")
    return begin, f"{begin}x", f"{begin}.x"


def matches(pattern: str, name: str) -> bool:
    """A pattern of a topic filter or a list of keys matches a whole name.

    One that does not parse, or might take for ever, matches nothing.
    """
    if may_take_for_ever(pattern):
        return False
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def _factors(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        for part, keys in _INTERNAL_FACTORS.items():
            connector = herder.connectors.get(part)
            for key in keys if connector is not None else ():
                if connector is not None and key not in connector:
                    default = "2" if key == "replication.factor" else "3"
                    found = hit(herder, part, key, None, "3")
                    yield Hit(found.at, found.key, found.fix, {**found.facts, "default": default})


def _comma_in_pattern(setup: Setup) -> Iterator[Hit]:
    for document in setup.documents:
        for value in document.values:
            key = value.key.rsplit("->", 1)[-1]
            split = key.endswith(
                ("topics", "groups", "topics.exclude", "groups.exclude", "topicsPattern", "groupsPattern")
            )
            broken = [part for part in value.text.split(",") if _unbalanced(part)]
            if split and len(broken) > 1:
                yield Hit(value, facts={"parts": " and ".join(part.strip() for part in broken[:2])})


def _unbalanced(pattern: str) -> bool:
    plain = re.sub(r"\\.", "", pattern)
    return any(plain.count(left) != plain.count(right) for left, right in ("()", "[]", "{}"))


def _takes_internal(pattern: str) -> bool:
    """A pattern, not a plain name, that matches some topic which ends in ``.internal``."""
    literal = _literal_begin(pattern)
    begin = literal.replace("\\.", ".")
    return literal != pattern and any(matches(pattern, f"{begin}{rest}") for rest in (".internal", "x.internal"))


def _literal_begin(pattern: str) -> str:
    """As far as a pattern names one topic; an escaped dot is a dot."""
    found = re.match(r"(?:[\w-]|\\\.)*", pattern)
    return found[0] if found else ""


def _internal_now_copied(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        connector = herder.connectors[Part.SOURCE]
        wide = [part for part in patterns(connector, "topics", ".*") if _takes_internal(part)]
        if wide and "topics.exclude" not in connector and (setup.version.major, setup.version.minor) >= (4, 0):
            found = hit(herder, Part.SOURCE, "topics.exclude", connector.get("topics"), "")
            line = line_to_write("topics.exclude", _EXCLUDE_WITH_INTERNAL, found.at)
            yield Hit(found.at, "topics.exclude", line)


def _skips_trimmed(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        consumer = herder.settings(Part.CONSUMER, setup.known) or {}
        given = consumer.get("auto.offset.reset")
        if given is None or given.text.strip().lower() != "none":
            found = hit(herder, Part.CONSUMER, "auto.offset.reset", given, "")
            yield Hit(found.at, found.key, "", found.facts)


def _more_than_one_task(setup: Setup) -> Iterator[Hit]:
    yield from unless(Part.SOURCE, "tasks.max", number(lambda count: count > 1), write="4", default="1")(setup)


def _slow_refresh(setup: Setup) -> Iterator[Hit]:
    for part, key in (
        (Part.SOURCE, "refresh.topics.interval.seconds"),
        (Part.CHECKPOINT, "refresh.groups.interval.seconds"),
    ):
        yield from unless(part, key, number(lambda seconds: seconds <= 120), write="30", default="600")(setup)


RULES = (
    Rule(
        "MM11",
        "an endless loop",
        Severity.LOSS,
        "{one} and {other} copy the same topics under the same names: each record goes round for ever, since "
        "IdentityReplicationPolicy cannot tell a copy from an original.",
        "Copy a topic one way only, or keep the default policy.",
        "IdentityReplicationPolicy; KIP-382",
        _loop,
    ),
    Rule(
        "MM12",
        "replicas by default",
        Severity.SURPRISE,
        "Not set, so {default} replicas: 2 for copied topics (one lost broker stops writers that want two in sync), 3 "
        "for "
        "internal ones (refused by a cluster with fewer brokers). A record for a topic that was refused, a heartbeat "
        "for one, holds up all that its task copies.",
        "1 only where there is one broker.",
        "MirrorSourceConfig, MirrorCheckpointConfig, MirrorHeartbeatConfig",
        _factors,
    ),
    Rule(
        "MM16",
        "one task copies everything",
        Severity.STALL,
        "tasks.max is 1: one consumer and one producer carry every partition.",
        "Up to the number of partitions has a use.",
        "ConnectorConfig",
        _more_than_one_task,
    ),
    Rule(
        "MM17",
        "new topics and groups are seen late",
        Severity.STALL,
        "Looked for every 600 s by default: a new topic, partition or group is not copied until then.",
        "30 to 60 s cost little.",
        "MirrorSourceConfig, MirrorCheckpointConfig",
        _slow_refresh,
    ),
    Rule(
        "MM25",
        "what was trimmed is skipped in silence",
        Severity.LOSS,
        "If the source's retention is shorter than an outage of the copy, the consumer goes on at the earliest record: "
        "what "
        "lies between is missing in {target}, and the task stays RUNNING.",
        "Nothing in this file prevents it: compare the copy with its source, and alert on the age of records not yet "
        "copied.",
        "MirrorConnectorConfig.sourceConsumerConfig; Kafka pull requests 21349, 22852",
        _skips_trimmed,
        certain=False,
    ),
    Rule(
        "MM29",
        "topics that end in .internal are copied",
        Severity.SURPRISE,
        "Since 4.0 the default of topics.exclude is mm2.*\\.internal; until 3.9 it was .*[\\-\\.]internal. A topic of "
        "yours that "
        "ends in .internal is copied now.",
        "Drop the last pattern if that is wanted.",
        "KAFKA-17200; KIP-1074",
        _internal_now_copied,
    ),
    Rule(
        "MM32",
        "a comma inside a pattern",
        Severity.SURPRISE,
        "The list is split at every comma, also inside brackets: here into {parts}, which match nothing or do not "
        "parse.",
        "Write the pattern without a comma: two patterns, or `x{2}|x{3}` for `x{2,3}`.",
        "MirrorUtils.compilePatternList",
        _comma_in_pattern,
    ),
)
