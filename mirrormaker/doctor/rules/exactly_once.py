"""Exactly once: what turns it on, what silently leaves it off, what makes it slow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mirrormaker.doctor.checks import hit, is_one_of, number, once, unless
from mirrormaker.doctor.document import Kind
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Part, Place
from mirrormaker.doctor.resolution import is_true
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup


def _required_in_dedicated(setup: Setup) -> Iterator[Hit]:
    for herder in setup.herders:
        given = herder.connectors.get(Part.HEARTBEAT, {}).get("exactly.once.support")
        if herder.place is Place.DEDICATED and given and given.text.strip().lower() == "required":
            yield Hit(given, facts={"flow": herder.name})


def _no_rest_between_nodes(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.DEDICATED):
        settings = document.settings
        on = [herder for herder in setup.copying if herder.exactly_once and herder.anchor.path == document.path]
        if on and not is_true(settings.get("dedicated.mode.enable.internal.rest")):
            key = "dedicated.mode.enable.internal.rest"
            yield Hit(settings.get(key) or on[0].anchor, key=key, fix=f"{key} = true")


def _interval_without_length(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        connector = herder.connectors[Part.SOURCE]
        given = connector.get("transaction.boundary")
        if given and given.text.strip().lower() == "interval" and "transaction.boundary.interval.ms" not in connector:
            yield Hit(given)


def _not_once(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        if herder.exactly_once is False:
            given = (herder.worker or {}).get("exactly.once.source.support")
            found = hit(herder, Part.WORKER, "exactly.once.source.support", given, "enabled")
            yield replace(found, facts={**found.facts, "more": ""})
        elif herder.exactly_once is None:
            given = herder.connectors[Part.SOURCE].get("exactly.once.support")
            found = hit(herder, Part.SOURCE, "exactly.once.support", given, "required")
            more = "The worker needs exactly.once.source.support=enabled; `required` refuses one without it."
            yield replace(found, facts={**found.facts, "more": more})


RULES = (
    Rule(
        "MM04",
        "aborted records are copied",
        Severity.LOSS,
        "Exactly once is on, but the consumer of the source reads uncommitted: records of aborted transactions are "
        "copied as "
        "good ones, and an open transaction's records before it ends. (With `exactly.once.support = required` the "
        "connector refuses to start instead, and nothing is copied.)",
        "In dedicated mode the key carries the source's name; without it the line reaches nothing.",
        "MirrorSourceConnector.exactlyOnceSupport; KIP-618; observed on 4.3.1",
        unless(
            Part.CONSUMER,
            "isolation.level",
            is_one_of("read_committed"),
            write="read_committed",
            default="read_uncommitted",
            when=once,
        ),
    ),
    Rule(
        "MM05",
        "required stops two of three connectors",
        Severity.STALL,
        "In dedicated mode all three connectors of {flow} get this line; the heartbeat and checkpoint connectors "
        "cannot promise "
        "it and refuse to start, so heartbeats and group offsets are missing.",
        "Remove it here: `<target>.exactly.once.source.support = enabled` is what turns exactly once on.",
        "MirrorMakerConfig.connectorBaseConfig; KIP-618",
        _required_in_dedicated,
    ),
    Rule(
        "MM06",
        "nodes cannot fence each other",
        Severity.STALL,
        "With a second node, a follower cannot ask the leader to fence the tasks before its own: they never start, and "
        "changes "
        "of tasks are not passed on.",
        "Give `listeners` an address that the other nodes reach as well.",
        "KIP-710",
        _no_rest_between_nodes,
        certain=False,
    ),
    Rule(
        "MM07",
        "transactions of a minute",
        Severity.STALL,
        "Without transaction.boundary.interval.ms a transaction ends when offsets are flushed: up to 60 s before a "
        "copy is "
        "readable.",
        "Write `poll` (the default), or give the interval.",
        "SourceConnectorConfig; KIP-618",
        _interval_without_length,
    ),
    Rule(
        "MM09",
        "copied twice after a crash",
        Severity.LOSS,
        "Exactly once is not asked for: offsets are saved every 60 s by default, and what was copied since the last "
        "time is "
        "copied again after a crash.",
        "{more}",
        "KIP-618; DistributedConfig",
        _not_once,
    ),
    Rule(
        "MM39",
        "a killed task holds readers back",
        Severity.STALL,
        "A task that is killed leaves its transaction open for producer.transaction.timeout.ms, 60 s by default; until "
        "then "
        "read_committed readers of {target} get nothing of its partitions.",
        "The broker's transaction.max.timeout.ms must allow the value.",
        "ProducerConfig; KIP-98",
        unless(
            Part.PRODUCER,
            "transaction.timeout.ms",
            number(lambda ms: ms <= 30_000),
            write="10000",
            default="60000",
            when=once,
        ),
    ),
)
