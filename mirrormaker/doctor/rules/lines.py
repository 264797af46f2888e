"""Single lines: comments that became values, keys that nothing reads, keys written twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrormaker.doctor.document import Document, Kind, Value
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Part
from mirrormaker.doctor.placement import Flows, Placement, place_connector, place_dedicated, place_worker
from mirrormaker.doctor.resolution import cluster_names
from mirrormaker.doctor.rule import Hit, Rule, line_to_write
from mirrormaker.doctor.setup import Setup, role_of
from mirrormaker.entries import escape_key, escape_value

_PROPERTIES = (Kind.DEDICATED, Kind.WORKER)
_INLINE = re.compile(r"\s+(#|//|!\s)")
_PATTERNS = ("topics", "groups", "topics.exclude", "groups.exclude", "config.properties.exclude")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPABLE = "\\:=#! tnrfu\r\n"
"""Behind a backslash these mean something in Java's properties; before anything else the backslash is dropped."""

_LOSES = ("exactly.once.source.support", "consumer.isolation.level")
_STALLS = (
    "offset.flush.interval.ms",
    "scheduled.rebalance.max.delay.ms",
    "producer.",
    "consumer.",
    "transaction.",
)


def _inline_comment(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(*_PROPERTIES):
        for value in document.values:
            found = _INLINE.search(value.text)
            if found and not value.key.endswith(("sasl.jaas.config", "password")):
                yield Hit(value, fix=line_to_write(value.key, value.text[: found.start()].rstrip(), value))


def _lost_backslash(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(*_PROPERTIES):
        for value in document.values:
            lost = any(found[1] not in _ESCAPABLE for found in _ESCAPE.finditer(value.raw))
            if lost and value.key.endswith(_PATTERNS):
                raw = re.sub(r"\\\r?\n\s*", "", value.raw.partition("=")[2]).strip()
                doubled = _ESCAPE.sub(lambda found: ("" if found[1] in _ESCAPABLE else "\\") + found[0], raw)
                yield Hit(value, fix=f"{value.key} = {doubled}")


def _other_letters(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(*_PROPERTIES):
        for value in document.values:
            content = value.raw.lstrip()
            if not content.isascii():
                read = content.strip().encode("utf-8").decode("latin-1")
                written = f"{escape_key(value.key)} = {escape_value(value.text)}"
                if value.key.startswith("\ufeff"):
                    written = f"{escape_key(value.key.removeprefix(chr(0xFEFF)))} = {escape_value(value.text)}"
                yield Hit(value, key=value.key.removeprefix("\ufeff"), fix=written, facts={"read": shown(read)})


def shown(text: str) -> str:
    """At most a line's beginning, control characters by their names."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:60])


def _ignored(setup: Setup) -> Iterator[Hit]:
    for document, value, placement in _placements(setup):
        if not placement.unknown and not placement.read and not _has_its_own_rule(document, value, placement):
            in_lines = placement.better and document.kind in _PROPERTIES
            better = line_to_write(placement.better, value.text, value) if in_lines else placement.better
            yield Hit(value, fix=better, facts={"why": placement.why}, severity=_harm(value.key))


def _has_its_own_rule(document: Document, value: Value, placement: Placement) -> bool:
    """Client settings under a connector's cluster prefixes: MM21 says where they belong."""
    connector = document.kind in (Kind.CONNECTOR, Kind.STRIMZI)
    return connector and bool(placement.better) and ".cluster." in value.key


def _unknown(setup: Setup) -> Iterator[Hit]:
    for _, value, placement in _placements(setup):
        if placement.unknown:
            near = f"Did you mean `{placement.better}`?" if placement.better else "Remove it."
            yield Hit(value, facts={"near": near})


def _harm(key: str) -> Severity:
    if key.endswith(_LOSES):
        return Severity.LOSS
    return Severity.STALL if any(part in key for part in _STALLS) else Severity.SURPRISE


def _twice(setup: Setup) -> Iterator[Hit]:
    for document in setup.documents:
        seen: dict[str, Value] = {}
        for value in document.values if document.kind is not Kind.POLICY else ():
            before = seen.get(value.key)
            if before and before.text != value.text:
                yield Hit(before, facts={"line": str(value.line), "won": value.text})
            seen[value.key] = value


def _nothing_runs(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.DEDICATED):
        settings = document.settings
        at = settings.get("clusters") or document.anchor
        here = [herder for herder in setup.herders if herder.anchor.path == document.path]
        if not any(herder.copies for herder in here):
            yield Hit(at, key="enabled", facts={"reason": "no flow has `<source>-><target>.enabled = true`"})
        for cluster in cluster_names(settings):
            if f"{cluster}.bootstrap.servers" not in settings and "bootstrap.servers" not in settings:
                key = f"{cluster}.bootstrap.servers"
                yield Hit(at, key=key, facts={"reason": f"`{key}` is missing, so the process stops at its start"})


def _placements(setup: Setup) -> Iterator[tuple[Document, Value, Placement]]:
    for document in setup.documents:
        if document.kind is Kind.DEDICATED:
            flows = _flows(document, setup)
            for value in document.values:
                yield document, value, place_dedicated(value.key, flows, setup.known)
        elif document.kind is Kind.CONNECTOR:
            part = role_of(document.settings)
            for value in document.values if part else ():
                yield document, value, place_connector(value.key, part or Part.SOURCE, setup.known)
        elif document.kind is Kind.WORKER:
            for value in document.values:
                yield document, value, place_worker(value.key, setup.known)
        elif document.kind is Kind.STRIMZI:
            yield from _strimzi_placements(document, setup)


def _strimzi_placements(document: Document, setup: Setup) -> Iterator[tuple[Document, Value, Placement]]:
    parts = {"source": Part.SOURCE, "checkpoint": Part.CHECKPOINT, "heartbeat": Part.HEARTBEAT}
    for value in document.values:
        connector = re.fullmatch(
            r"spec\.mirrors\[\d+\]\.(source|checkpoint|heartbeat)Connector\.config\.(.+)", value.key
        )
        if connector:
            yield document, value, place_connector(connector[2], parts[connector[1]], setup.known)
        target = re.fullmatch(r"spec\.target\.config\.(.+)", value.key)
        if target:
            yield document, value, place_worker(target[1], setup.known)


def _flows(document: Document, setup: Setup) -> Flows:
    pairs = tuple((herder.source, herder.target) for herder in setup.herders if herder.anchor.path == document.path)
    return Flows(cluster_names(document.settings), pairs)


RULES = (
    Rule(
        "MM50",
        "letters that Java reads as others",
        Severity.SURPRISE,
        "Java reads a properties file as ISO-8859-1, not UTF-8: this line becomes `{read}`. A byte order mark, which "
        "some editors put first, becomes part of the first key, and nothing reads it.",
        "Save the file without a byte order mark, and letters outside ASCII as \\u and four digits.",
        "java.util.Properties.load; Utils.loadProps",
        _other_letters,
    ),
    Rule(
        "MM01",
        "a comment became part of the value",
        Severity.SURPRISE,
        "Java's properties have no comments behind a value: the value is `{value}`.",
        "Put the comment on a line of its own.",
        "java.util.Properties; observed on 4.3.1",
        _inline_comment,
    ),
    Rule(
        "MM02",
        "a line that nothing reads",
        Severity.SURPRISE,
        "`{key}` is ignored. {why}",
        "",
        "MirrorMakerConfig, MirrorConnectorConfig, Worker",
        _ignored,
    ),
    Rule(
        "MM42",
        "an unknown key",
        Severity.SURPRISE,
        "No part of MirrorMaker has a key `{key}`: the line does nothing (unless a plugin of yours reads it).",
        "{near}",
        "ConfigDefs of Kafka 3.7 to 4.3",
        _unknown,
    ),
    Rule(
        "MM47",
        "written twice",
        Severity.SURPRISE,
        "`{key}` stands again in line {line}; the last one wins: {won}.",
        "Keep one.",
        "java.util.Properties; Connect's JSON",
        _twice,
    ),
    Rule(
        "MM49",
        "a backslash that vanished",
        Severity.SURPRISE,
        "In properties a backslash escapes the next character and is dropped: MirrorMaker reads `{value}`, so a class "
        "such as "
        "\\d is the letter d, and an escaped dot matches any character.",
        "Double it.",
        "java.util.Properties",
        _lost_backslash,
    ),
    Rule(
        "MM48",
        "nothing would run",
        Severity.STALL,
        "MirrorMaker copies nothing: {reason}.",
        "",
        "MirrorMakerConfig.clusterPairs",
        _nothing_runs,
    ),
)
