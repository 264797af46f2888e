"""All files of a question together: the herders that they describe, for a Kafka version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mirrormaker.doctor import resolution
from mirrormaker.doctor.document import Document, Kind, Settings, Value
from mirrormaker.doctor.herder import CONNECTOR_PARTS, Herder, Part, Place
from mirrormaker.doctor.known import LATEST, KafkaVersion, KnownKeys, known_keys

_ROLES = {
    "MirrorSourceConnector": Part.SOURCE,
    "MirrorCheckpointConnector": Part.CHECKPOINT,
    "MirrorHeartbeatConnector": Part.HEARTBEAT,
}


@dataclass(frozen=True)
class Setup:
    """What the rules look at.

    Attributes:
        documents: the files.
        herders: what they would start.
        version: Kafka's version.
        runs_beside: alias of the cluster that MirrorMaker runs next to; empty: not said.
        managed: the service that runs the workers (``msk-connect``); empty: nobody's.
    """

    documents: tuple[Document, ...]
    herders: tuple[Herder, ...]
    version: KafkaVersion
    runs_beside: str = ""
    managed: str = ""

    @property
    def known(self) -> KnownKeys:
        """The keys of this version."""
        return known_keys(self.version)

    @property
    def copying(self) -> tuple[Herder, ...]:
        """Herders that copy records and whose source connector is shown."""
        return tuple(herder for herder in self.herders if herder.copies and Part.SOURCE in herder.connectors)

    def of_kind(self, *kinds: Kind) -> Iterator[Document]:
        """Documents of these kinds."""
        return (document for document in self.documents if document.kind in kinds)


def build_setup(
    documents: Iterable[Document],
    *,
    version: KafkaVersion | None = None,
    runs_beside: str = "",
    managed: str = "",
) -> Setup:
    """The setup that a set of files describes; connectors of the same flow, and a worker's file, are taken together.

    Without a version it is the lowest that the files name (Strimzi's ``spec.version``, MSK Connect's), else the latest.
    """
    given = tuple(documents)
    version = version or _version_of(given)
    managed = managed or next((document.service for document in given if document.service), "")
    known = known_keys(version)
    herders: list[Herder] = []
    for document in given:
        if document.kind is Kind.DEDICATED:
            herders += resolution.herders(document, known)
        elif document.kind is Kind.STRIMZI:
            herders += _strimzi_herders(document)
    herders += _connect_herders(given)
    return Setup(given, tuple(herders), version, runs_beside, managed)


def _version_of(documents: tuple[Document, ...]) -> KafkaVersion:
    named = [
        document.kafka_version for document in documents if re.fullmatch(r"\d+\.\d+(\..*)?", document.kafka_version)
    ]
    return min((KafkaVersion.parse(".".join(text.split(".")[:2])) for text in named), default=LATEST)


def role_of(settings: Settings) -> Part | None:
    """Which of the three connectors a configuration is for."""
    name = settings["connector.class"].text.strip().rsplit(".", 1)[-1] if "connector.class" in settings else ""
    return _ROLES.get(name) or _ROLES.get(f"{name}Connector")


def _connect_herders(documents: tuple[Document, ...]) -> Iterator[Herder]:
    workers = [document.settings for document in documents if document.kind is Kind.WORKER]
    flows: dict[tuple[str, str], dict[Part, Document]] = {}
    for document in documents:
        role = role_of(document.settings) if document.kind is Kind.CONNECTOR else None
        if role:
            pair = (_text(document.settings, "source.cluster.alias"), _text(document.settings, "target.cluster.alias"))
            flows.setdefault(pair, {})[role] = document
    for (source, target), parts in flows.items():
        first = parts.get(Part.SOURCE) or next(iter(parts.values()))
        yield Herder(
            source=source or "source",
            target=target or "target",
            place=Place.CONNECT,
            copies=resolution.is_true(first.settings.get("enabled"), default=True),
            anchor=first.settings["connector.class"],
            worker=workers[0] if workers else None,
            connectors={part: document.settings for part, document in parts.items()},
        )


def _strimzi_herders(document: Document) -> Iterator[Herder]:
    settings = document.settings
    indexes = sorted({int(match[1]) for key in settings if (match := re.match(r"spec\.mirrors\[(\d+)\]", key))})
    clusters = _strimzi_clusters(settings)
    for index in indexes:
        mirror = f"spec.mirrors[{index}]"
        source = _text(settings, f"{mirror}.source.alias") or _text(settings, f"{mirror}.sourceCluster")
        target = _text(settings, "spec.target.alias") or _text(settings, f"{mirror}.targetCluster")
        worker_at = clusters.get(_text(settings, "spec.connectCluster")) or "spec.target"
        yield Herder(
            source=source,
            target=target,
            place=Place.STRIMZI,
            copies=f"{mirror}.sourceConnector" in settings,
            anchor=settings.get(f"{mirror}.sourceConnector") or settings.get("spec.mirrors") or document.anchor,
            worker=_under(settings, f"{worker_at}.config."),
            connectors=_strimzi_connectors(settings, mirror, clusters.get(source) or f"{mirror}.source"),
        )


def _strimzi_clusters(settings: Settings) -> dict[str, str]:
    """Alias → where v1beta2's list has it."""
    return {
        value.text: key.removesuffix(".alias")
        for key, value in settings.items()
        if re.fullmatch(r"spec\.clusters\[\d+\]\.alias", key)
    }


def _strimzi_connectors(settings: Settings, mirror: str, source_at: str) -> dict[Part, Settings]:
    found: dict[Part, Settings] = {}
    for part, name in zip(
        CONNECTOR_PARTS, ("sourceConnector", "checkpointConnector", "heartbeatConnector"), strict=True
    ):
        at = f"{mirror}.{name}"
        if at not in settings:
            continue
        config = _under(settings, f"{at}.config.")
        for path, key in (
            (f"{at}.tasksMax", "tasks.max"),
            (f"{mirror}.topicsPattern", "topics"),
            (f"{mirror}.topicsExcludePattern", "topics.exclude"),
            (f"{mirror}.groupsPattern", "groups"),
            (f"{mirror}.groupsExcludePattern", "groups.exclude"),
            (f"{source_at}.bootstrapServers", "source.cluster.bootstrap.servers"),
        ):
            if path in settings:
                config[key] = settings[path]
        config.update(
            {f"source.cluster.{key}": value for key, value in _under(settings, f"{source_at}.config.").items()}
        )
        found[part] = config
    return found


def _under(settings: Settings, prefix: str) -> Settings:
    return {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}


def _text(settings: Settings, key: str) -> str:
    value: Value | None = settings.get(key)
    return value.text.strip() if value else ""
