"""What becomes of a line: whether anything reads it, and if not, where it should stand.

These are Kafka's rules of levels and prefixes, turned round: from a line to its readers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirrormaker.doctor.herder import Part
from mirrormaker.doctor.known import KnownKeys, last_version_of, nearest
from mirrormaker.doctor.resolution import PASSED_TO_WORKER

_CLIENTS = ("producer", "consumer", "admin")
_FREE_PREFIXES = (
    "config.providers.",
    "replication.policy.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "transforms.",
    "predicates.",
    "topic.creation.",
    "metrics.context.",
    "topic.filter.",
    "group.filter.",
    "config.property.filter.",
    "forwarding.admin.",
)
"""Whatever follows these belongs to a plugin, whose keys nobody else knows."""

_STORAGE = ("offset.storage.", "config.storage.", "status.storage.")
"""Behind these any setting of the internal topic may follow (KIP-605), so only what looks like a slip is reported."""

_FILTER_KEYS = frozenset({"use.defaults.from"})
_TOPIC_FILTER_KEYS = frozenset({"topics", "topics.exclude"})
"""The checkpoint connector does not define these, but its topic filter reads them."""

_TOP_LEVEL_OF_PLUGINS = frozenset({"plugin.path", "plugin.discovery", "config.providers", "metric.reporters"})


@dataclass(frozen=True)
class Placement:
    """Where a line goes.

    Attributes:
        read: something reads it.
        why: when not: why not.
        better: how it would be read; empty when unknown.
        unknown: no part of MirrorMaker has such a key at all.
    """

    read: bool
    why: str = ""
    better: str = ""
    unknown: bool = False


READ = Placement(read=True)


@dataclass(frozen=True)
class Flows:
    """The aliases of a file, and which of them take part how."""

    clusters: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """Aliases that a herder writes to."""
        return tuple(dict.fromkeys(target for _, target in self.pairs))

    @property
    def sources(self) -> tuple[str, ...]:
        """Aliases that a herder reads from."""
        return tuple(dict.fromkeys(source for source, _ in self.pairs))


def place_dedicated(key: str, flows: Flows, known: KnownKeys) -> Placement:
    """What becomes of a line of ``mm2.properties``."""
    arrow = re.fullmatch(r"(.+?)->(.+?)\.(.+)", key)
    if arrow:
        return _flow_level(arrow[1], arrow[2], arrow[3], flows, known)
    for cluster in sorted(flows.clusters, key=len, reverse=True):
        if key.startswith(f"{cluster}."):
            return _cluster_level(cluster, key[len(cluster) + 1 :], flows, known)
    return _top_level(key, flows, known)


def place_connector(key: str, part: Part, known: KnownKeys) -> Placement:
    """What becomes of a key in a connector's own configuration (Connect, MSK Connect, Strimzi)."""
    role = {Part.SOURCE: "source", Part.CHECKPOINT: "checkpoint", Part.HEARTBEAT: "heartbeat"}[part]
    if key in known.of(role, "connector") | _FILTER_KEYS or key.startswith(_FREE_PREFIXES):
        return READ
    if part is Part.CHECKPOINT and key in _TOPIC_FILTER_KEYS:
        return READ
    if key in known.connectors:
        owner = next(name for name in ("source", "checkpoint", "heartbeat") if key in known.of(name))
        return Placement(read=False, why=f"Only the {owner} connector reads it.")
    client = _client_key(key, known)
    if client is not None:
        return client
    if "->" in key or key in ("clusters", "dedicated.mode.enable.internal.rest"):
        return Placement(
            read=False, why="It belongs to MirrorMaker's own process (dedicated mode), not to a connector."
        )
    if key in known.of("worker"):
        return Placement(read=False, why="It belongs into the worker's properties; a connector does not read it.")
    bare = _bare_client_key(key, known, "source.consumer.", "producer.override.")
    return bare or _unknown(key, known.of(role, "connector"), known)


def place_worker(key: str, known: KnownKeys) -> Placement:
    """What becomes of a key in a Connect worker's properties."""
    if key in known.of("worker") or key.startswith(_FREE_PREFIXES) or key in _TOP_LEVEL_OF_PLUGINS:
        return READ
    for client in _CLIENTS:
        bare = key.removeprefix(f"{client}.")
        if bare != key:
            return READ if bare in known.of(client) else _unknown_in(f"{client}.", bare, known.of(client), known)
    if key.startswith(("listeners.https.", "admin.listeners.https.")):
        return READ
    if key in known.connectors | known.of("connector"):
        return Placement(read=False, why="It belongs into a connector's configuration; the worker does not read it.")
    return _unknown(key, known.of("worker"), known)


def _flow_level(source: str, target: str, rest: str, flows: Flows, known: KnownKeys) -> Placement:
    for name in (source, target):
        if name not in flows.clusters:
            near = nearest(name, flows.clusters)
            why = f"There is no cluster '{name}' in `clusters` ({', '.join(flows.clusters)})."
            return Placement(
                read=False, why=why, better=f"{source}->{target}.{rest}".replace(name, near) if near else ""
            )
    if (source, target) not in flows.pairs:
        on = f"{source}->{target}.enabled"
        return (
            READ
            if rest in ("enabled", "emit.heartbeats.enabled")
            else Placement(read=False, why=f"{on} is not true: nothing starts.")
        )
    if rest in known.connectors | known.of("connector") | _FILTER_KEYS or rest.startswith(_FREE_PREFIXES):
        return READ
    client = _client_key(rest, known, better_producer=f"{target}.producer.", better_consumer=f"{source}.consumer.")
    if client is not None:
        return client
    if rest in known.of("worker"):
        why = "The connector gets it; the worker, which would read it, does not."
        return Placement(read=False, why=why, better=f"{target}.{rest}")
    bare = _bare_client_key(rest, known, f"{source}.consumer.", f"{target}.producer.")
    return bare or _unknown_in(f"{source}->{target}.", rest, known.connectors | known.of("connector"), known)


def _cluster_level(cluster: str, rest: str, flows: Flows, known: KnownKeys) -> Placement:
    if rest in known.of("client"):
        return READ
    client, _, bare = rest.partition(".")
    if client in _CLIENTS and bare and rest not in known.of("worker"):
        if bare not in known.of(client):
            return _unknown_in(f"{cluster}.{client}.", bare, known.of(client), known)
        return READ
    if rest in known.of("worker") or rest.startswith((*_STORAGE, *_FREE_PREFIXES)):
        why = f"No flow writes to {cluster}, so no worker runs with its settings."
        better = f"{flows.targets[0]}.{rest}" if flows.targets else ""
        here = cluster in flows.targets
        return _storage(rest, f"{cluster}.", known) if here else Placement(read=False, why=why, better=better)
    if rest in known.connectors | known.of("connector"):
        pairs = [pair for pair in flows.pairs if cluster in pair]
        better = f"{pairs[0][0]}->{pairs[0][1]}.{rest}" if pairs else rest
        return Placement(
            read=False, why="A connector's key stands at top level or under a flow, not under a cluster.", better=better
        )
    bare_key = _bare_client_key(rest, known, f"{cluster}.consumer.", f"{cluster}.producer.")
    return bare_key or _unknown_in(f"{cluster}.", rest, known.of("worker", "client"), known)


def _top_level(key: str, flows: Flows, known: KnownKeys) -> Placement:
    if key in known.of("mirrormaker") | known.connectors | known.of("client") | _TOP_LEVEL_OF_PLUGINS | _FILTER_KEYS:
        return READ
    if key.startswith((*_FREE_PREFIXES, "listeners.https.", "admin.listeners.https.")):
        return READ
    targets = flows.targets or ("<target>",)
    if key.startswith(PASSED_TO_WORKER):
        return _storage(key, "", known)
    if key in known.of("worker"):
        why = "At top level no worker reads it: MirrorMaker passes on only a few such keys."
        return Placement(read=False, why=why, better=f"{targets[0]}.{key}")
    if key in known.of("connector"):
        flow = flows.pairs[0] if flows.pairs else ("<source>", "<target>")
        why = "At top level it is not passed on to connectors."
        return Placement(read=False, why=why, better=f"{flow[0]}->{flow[1]}.{key}")
    for client in _CLIENTS:
        bare = _client_suffix(key, client)
        if bare and bare in known.of(client):
            owner = (flows.sources or ("<source>",))[0] if client == "consumer" else targets[0]
            return Placement(
                read=False,
                why="Without a cluster's name in front no client gets it.",
                better=f"{owner}.{client}.{bare}",
            )
    bare_key = _bare_client_key(
        key, known, f"{(flows.sources or ('<source>',))[0]}.consumer.", f"{targets[0]}.producer."
    )
    return bare_key or _stranger(key, flows, known)


def _storage(key: str, prefix: str, known: KnownKeys) -> Placement:
    """A key that reaches the worker: known, a setting of an internal topic, or a slip of a known one."""
    near = nearest(key, known.of("worker"))
    if key in known.of("worker") or (not near and key.startswith((*_STORAGE, *_FREE_PREFIXES))):
        return READ
    return _unknown_in(prefix, key, known.of("worker"), known)


def _stranger(key: str, flows: Flows, known: KnownKeys) -> Placement:
    """A key with the look of ``<cluster>.<key>`` whose cluster is not named, or no known key at all."""
    first, _, rest = key.partition(".")
    looks = rest in known.of("client", "worker") or rest.partition(".")[0] in _CLIENTS
    if looks:
        near = nearest(first, flows.clusters)
        why = f"There is no cluster '{first}' in `clusters` ({', '.join(flows.clusters)})."
        return Placement(read=False, why=why, better=f"{near}.{rest}" if near else "")
    return _unknown(key, known.connectors | known.of("mirrormaker", "worker"), known)


def _client_suffix(key: str, client: str) -> str:
    """The client's own key behind ``producer.``, ``source.producer.`` or ``target.producer.``."""
    match = re.fullmatch(rf"(?:source\.|target\.)?{client}\.(?:override\.)?(.+)", key)
    return match[1] if match else ""


def _client_key(
    key: str,
    known: KnownKeys,
    *,
    better_producer: str = "producer.override.",
    better_consumer: str = "source.consumer.",
) -> Placement | None:
    """A key under a client's or a cluster's prefix in a connector's configuration; None: it has no such prefix."""
    for role, better in (("source", better_consumer), ("target", better_producer)):
        bare = key.removeprefix(f"{role}.cluster.")
        if bare == key:
            continue
        if bare in known.of("client"):
            return READ
        why = "Of what follows a cluster's prefix only connection keys are read."
        bare = re.sub(r"^(producer|consumer)\.", "", bare)
        wanted = better + bare if bare in known.of("producer", "consumer") else ""
        return Placement(read=False, why=why, better=wanted)
    for client in _CLIENTS:
        bare = _client_suffix(key, client)
        if bare and not key.startswith("consumer.poll."):
            return READ if bare in known.of(client) else _unknown_in(key[: -len(bare)], bare, known.of(client), known)
    return None


def _bare_client_key(key: str, known: KnownKeys, consumer: str, producer: str) -> Placement | None:
    """A client's key without any prefix."""
    why = "Without a prefix no client gets it."
    if key in known.of("producer") - known.of("consumer"):
        return Placement(read=False, why=why, better=producer + key)
    if key in known.of("consumer"):
        return Placement(read=False, why=why, better=consumer + key)
    return None


def _unknown_in(prefix: str, rest: str, candidates: frozenset[str], known: KnownKeys) -> Placement:
    found = _unknown(rest, candidates, known)
    return Placement(read=False, why=found.why, better=prefix + found.better if found.better else "", unknown=True)


def _unknown(key: str, candidates: frozenset[str], known: KnownKeys) -> Placement:
    last = last_version_of(key)
    if last is not None and last < known.version:
        return READ  # another rule says that it is gone, and what came instead
    return Placement(
        read=False, why="No part of MirrorMaker has such a key.", better=nearest(key, candidates), unknown=True
    )
