"""Offsets of consumer groups: whether they are translated, how late, and where to."""

from __future__ import annotations

from collections.abc import Iterator

from mirrormaker.doctor.checks import hit, number
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Part
from mirrormaker.doctor.resolution import is_true
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup

_LOCATION = "offset-syncs.topic.location"


def _rare_pairs(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        given = herder.connectors[Part.SOURCE].get("offset.lag.max")
        checkpoint = herder.connectors.get(Part.CHECKPOINT)
        translated = checkpoint is not None and is_true(checkpoint.get("sync.group.offsets.enabled"))
        if translated and not number(lambda lag: lag <= 10)(given.text.strip() if given else "100"):
            yield hit(herder, Part.SOURCE, "offset.lag.max", given, "10")


def _no_group_offsets(setup: Setup) -> Iterator[Hit]:
    for herder in setup.herders:
        checkpoint = herder.connectors.get(Part.CHECKPOINT)
        if (
            checkpoint is None
            or not herder.copies
            or not is_true(checkpoint.get("emit.checkpoints.enabled"), default=True)
        ):
            continue
        if "sync.group.offsets.enabled" not in checkpoint:
            yield hit(herder, Part.CHECKPOINT, "sync.group.offsets.enabled", None, "true")


def _two_places(setup: Setup) -> Iterator[Hit]:
    for herder in setup.herders:
        source, checkpoint = herder.connectors.get(Part.SOURCE), herder.connectors.get(Part.CHECKPOINT)
        if source is None or checkpoint is None:
            continue
        first = source[_LOCATION].text.strip() if _LOCATION in source else "source"
        second = checkpoint[_LOCATION].text.strip() if _LOCATION in checkpoint else "source"
        if first != second:
            at = checkpoint.get(_LOCATION) or source[_LOCATION]
            yield Hit(at, key=_LOCATION, fix=f"{_LOCATION} = target", facts={"first": first, "second": second})


def _translation_bugs(setup: Setup) -> Iterator[Hit]:
    version = (setup.version.major, setup.version.minor)
    for herder in setup.herders:
        checkpoint = herder.connectors.get(Part.CHECKPOINT)
        on = checkpoint is not None and is_true(checkpoint.get("emit.checkpoints.enabled"), default=True)
        affected = (3, 5) <= version <= (3, 6) or (version < (3, 8) and setup.managed == "msk-connect")
        if on and herder.copies and affected:
            yield Hit(herder.anchor, key="emit.checkpoints.enabled", facts={"version": str(setup.version)})


RULES = (
    Rule(
        "MM18",
        "group offsets seem to stand still",
        Severity.SURPRISE,
        "A pair of offsets is written only every offset.lag.max (100) records of a partition: on a slow topic a "
        "group's "
        "translated offset does not move for hours.",
        "0 to 10 for slow topics; the pairs' topic is compacted.",
        "OffsetSyncWriter; Strimzi issue 9609",
        _rare_pairs,
    ),
    Rule(
        "MM19",
        "a failover has no offsets",
        Severity.LOSS,
        "sync.group.offsets.enabled is off by default: a group that moves to {target} finds no offsets there, and "
        "starts where "
        "auto.offset.reset says: at the beginning, or behind everything. (Also when on: groups that are active at the "
        "target "
        "are left alone, and offsets never go back.)",
        "Or write `false`, to say that no group will move.",
        "MirrorCheckpointConfig; KIP-545",
        _no_group_offsets,
    ),
    Rule(
        "MM27",
        "two places for offset pairs",
        Severity.STALL,
        "The source connector writes the pairs to the {first} cluster, the checkpoint connector looks for them in the "
        "{second} "
        "cluster: no offset is ever translated.",
        "The same in both; `target` keeps the copy from writing to the source.",
        "MirrorSourceConfig, MirrorCheckpointConfig; KIP-716",
        _two_places,
    ),
    Rule(
        "MM28",
        "a version that translates offsets wrongly",
        Severity.LOSS,
        "Kafka {version}: translated group offsets stay behind or are too early (3.5.0 to 3.6.1, and 3.7 as MSK "
        "Connect runs "
        "it), so a failover reads much again, or offsets never move.",
        "Use 3.8 or later.",
        "Kafka's upgrade notes on offset translation; KAFKA-15905",
        _translation_bugs,
    ),
)
