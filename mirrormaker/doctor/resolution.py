"""Kafka's own rules of which line reaches which part in dedicated mode (MirrorMakerConfig, 3.7 to 4.3).

Every value keeps the line that it came from, so that a finding, or ``explain``, can say where a setting was decided.
"""

from __future__ import annotations

import re

from mirrormaker.doctor.bounds import MAX_CLUSTERS
from mirrormaker.doctor.document import Document, Settings, Value
from mirrormaker.doctor.herder import Herder, Part, Place
from mirrormaker.doctor.known import KnownKeys
from schemas.errors import ConfigError

PASSED_TO_WORKER = (
    "offset.storage",
    "config.storage",
    "status.storage",
    "key.converter",
    "value.converter",
    "header.converter",
    "task",
    "worker",
    "replication.policy",
)
"""Top-level keys that begin so reach every worker.

And there win over ``<target>.`` keys (MirrorMakerConfig.workerConfig).
"""

_CLIENTS = ("producer", "consumer", "admin")
_CLIENT_KEY = re.compile(r"(consumer|producer|admin).*")


def cluster_names(settings: Settings) -> tuple[str, ...]:
    """The aliases in ``clusters``, as Kafka splits them, without repetition."""
    text = settings["clusters"].text if "clusters" in settings else ""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def is_true(value: Value | None, *, default: bool = False) -> bool:
    """``Boolean.parseBoolean``: only the word true, in any case, is true."""
    return default if value is None else value.text.strip().lower() == "true"


def herders(document: Document, known: KnownKeys) -> tuple[Herder, ...]:
    """What MirrorMaker would start without ``--clusters``: MirrorMakerConfig.clusterPairs and its configurations.

    Raises:
        ConfigError: the file names more clusters than one process can have.
    """
    settings = document.settings
    names = cluster_names(settings)
    if len(names) > MAX_CLUSTERS:
        raise ConfigError(
            f"{document.path}, line {settings['clusters'].line}: {len(names)} clusters are "
            f"{len(names) * (len(names) - 1)} flows.",
            hint=f"Examine files of at most {MAX_CLUSTERS} clusters; a process for each target needs two or three.",
        )
    return tuple(
        _herder(document, settings, source, target, known)
        for source in names
        for target in names
        if source != target and _starts(settings, source, target)
    )


def cluster_settings(settings: Settings, cluster: str, known: KnownKeys) -> Settings:
    """MirrorMakerConfig.clusterProps: a cluster's own keys; connection keys reach its producer, consumer and admin."""
    result = {key[len(cluster) + 1 :]: value for key, value in settings.items() if key.startswith(f"{cluster}.")}
    for origin in (dict(result), settings):
        for key in sorted(known.of("client") & origin.keys()):
            for client in _CLIENTS:
                result.setdefault(f"{client}.{key}", origin[key])
            result.setdefault(key, origin[key])
    return result


def worker_settings(settings: Settings, source: str, target: str, known: KnownKeys) -> Settings:
    """MirrorMakerConfig.workerConfig, with the names that it fills in."""
    result = cluster_settings(settings, target, known)
    result.update({key: value for key, value in settings.items() if key.startswith(PASSED_TO_WORKER)})
    result.update({key: value for key, value in settings.items() if key.startswith("config.providers")})
    for key, text in (
        ("group.id", f"{source}-mm2"),
        ("offset.storage.topic", f"mm2-offsets.{source}.internal"),
        ("status.storage.topic", f"mm2-status.{source}.internal"),
        ("config.storage.topic", f"mm2-configs.{source}.internal"),
    ):
        result.setdefault(key, Value(text, "(MirrorMaker's own)", 0, ""))
    return result


def connector_settings(settings: Settings, source: str, target: str, known: KnownKeys) -> Settings:
    """MirrorMakerConfig.connectorBaseConfig: the same for all three connectors of a flow."""
    result = {key: value for key, value in settings.items() if key in known.connectors}
    result.update(
        {key: value for key, value in settings.items() if key.startswith(("config.providers", "replication.policy"))}
    )
    for cluster, role in ((source, "source"), (target, "target")):
        for key, value in cluster_settings(settings, cluster, known).items():
            of_client = _CLIENT_KEY.fullmatch(key) is not None
            result[f"{role}.{key}" if of_client else f"{role}.cluster.{key}"] = value
    prefix = f"{source}->{target}."
    result.update({key[len(prefix) :]: value for key, value in settings.items() if key.startswith(prefix)})
    return result


def _starts(settings: Settings, source: str, target: str) -> bool:
    """A flow that is enabled, or whose heartbeats are not off (their default is on)."""
    prefix = f"{source}->{target}."
    heartbeats = is_true(settings.get("emit.heartbeats.enabled"), default=True)
    heartbeats = is_true(settings.get(f"{prefix}emit.heartbeats.enabled"), default=heartbeats)
    return is_true(settings.get(f"{prefix}enabled")) or heartbeats


def _herder(document: Document, settings: Settings, source: str, target: str, known: KnownKeys) -> Herder:
    connector = connector_settings(settings, source, target, known)
    anchor = settings.get(f"{source}->{target}.enabled") or settings.get("clusters") or document.anchor
    return Herder(
        source=source,
        target=target,
        place=Place.DEDICATED,
        copies=is_true(settings.get(f"{source}->{target}.enabled")),
        anchor=anchor,
        worker=worker_settings(settings, source, target, known),
        connectors=dict.fromkeys((Part.SOURCE, Part.CHECKPOINT, Part.HEARTBEAT), connector),
    )
