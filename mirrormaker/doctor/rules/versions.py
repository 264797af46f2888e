"""Keys and behaviours that depend on Kafka's version."""

from __future__ import annotations

from collections.abc import Iterator

from mirrormaker.doctor.checks import once
from mirrormaker.doctor.document import Kind
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Place
from mirrormaker.doctor.known import last_version_of
from mirrormaker.doctor.resolution import is_true
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup

RENAMED = {
    "topics.blacklist": "topics.exclude",
    "groups.blacklist": "groups.exclude",
    "config.properties.blacklist": "config.properties.exclude",
    "use.incremental.alter.configs": "nothing: it is always so",
    "add.source.alias.to.metrics": "nothing: the source is always in the metrics",
    "auto.include.jmx.reporter": "metric.reporters",
    "rest.host.name": "listeners",
    "rest.port": "listeners",
    "internal.key.converter": "nothing",
    "internal.value.converter": "nothing",
    "admin.bootstrap.servers": "bootstrap.servers",
}


def _gone(setup: Setup) -> Iterator[Hit]:
    for document in setup.documents:
        if document.kind is Kind.POLICY:
            continue
        for value in document.values:
            name = next((old for old in RENAMED if value.key == old or value.key.endswith(f".{old}")), "")
            last = last_version_of(name) if name else None
            if last is not None and setup.version > last:
                yield Hit(value, facts={"last": str(last), "instead": RENAMED[name]})


def _one_worker_id(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.DEDICATED):
        rest = document.settings.get("dedicated.mode.enable.internal.rest")
        flows = [
            herder
            for herder in setup.copying
            if herder.place is Place.DEDICATED and herder.anchor.path == document.path
        ]
        old = (setup.version.major, setup.version.minor) < (4, 1)
        if old and flows and not is_true(rest) and not any(once(herder) for herder in flows):
            key = "dedicated.mode.enable.internal.rest"
            yield Hit(rest or flows[0].anchor, key=key, fix=f"{key} = true")


RULES = (
    Rule(
        "MM30",
        "a name that is gone",
        Severity.SURPRISE,
        "`{key}` was read until {last}; now it is ignored, as if the line were not there.",
        "Instead: {instead}.",
        "Upgrade notes of 4.0",
        _gone,
    ),
    Rule(
        "MM33",
        "several nodes, one name",
        Severity.STALL,
        "Before 4.1, nodes without internal REST all have the same worker id: of several, one works and the others' "
        "states "
        "overwrite each other.",
        "Or use 4.1 or later.",
        "KAFKA-18843",
        _one_worker_id,
        certain=False,
    ),
)
