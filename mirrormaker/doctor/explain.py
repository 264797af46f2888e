"""What a set of files would start.

Herders, connectors, internal topics, and the effective settings with their lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from mirrormaker.doctor.diagnosis import setup_of
from mirrormaker.doctor.document import Settings, Value
from mirrormaker.doctor.herder import CONNECTOR_PARTS, Herder, Part, Place
from mirrormaker.doctor.known import KafkaVersion, KnownKeys
from mirrormaker.doctor.resolution import is_true

_OF_CONNECT = {
    "acks": "all",
    "max.in.flight.requests.per.connection": "1",
    "delivery.timeout.ms": "2147483647",
    "max.block.ms": "9223372036854775807",
}
"""What Connect gives its producers before anyone's settings (Worker.baseProducerConfigs)."""


@dataclass(frozen=True)
class Origin:
    """An effective setting and where it was decided: ``file:line``, or who else decides."""

    value: str
    origin: str


@dataclass(frozen=True)
class Topic:
    """A topic that would be created when it is missing."""

    name: str
    cluster: str
    purpose: str
    replication_factor: str


@dataclass(frozen=True)
class Start:
    """One herder that would start.

    Attributes:
        flow: ``eu->us``.
        place: how it is run.
        group_id: the workers' group, in the target cluster.
        exactly_once: whether records and offsets are one transaction; None: not shown.
        connectors: name → what it does, and with how many tasks at most.
        topics: what is created where.
        consumer: effective settings of the consumer of the source.
        producer: effective settings of the producer of the copies.
    """

    flow: str
    place: str
    group_id: str
    exactly_once: bool | None
    connectors: dict[str, str]
    topics: tuple[Topic, ...]
    consumer: dict[str, Origin]
    producer: dict[str, Origin]


def explain(files: Mapping[str, str], *, version: KafkaVersion | None = None) -> tuple[Start, ...]:
    """What would start.

    Raises:
        ConfigError: a file cannot be read as anything that the doctor knows.
    """
    setup = setup_of(files, version=version)
    return tuple(_start(herder, setup.known) for herder in setup.herders)


def as_json(starts: tuple[Start, ...]) -> list[dict[str, object]]:
    """One object for each herder."""
    return [asdict(start) for start in starts]


def as_text(starts: tuple[Start, ...]) -> str:
    """For a terminal."""
    return "\n".join(line for start in starts for line in _lines(start)) + "\n" if starts else "Nothing would start.\n"


def _start(herder: Herder, known: KnownKeys) -> Start:
    consumer = herder.settings(Part.CONSUMER, known) or {}
    producer = herder.settings(Part.PRODUCER, known) or {}
    fixed = {
        "enable.auto.commit": Origin("false", "MirrorMaker"),
        "auto.offset.reset": Origin("earliest", "MirrorMaker"),
    }
    defaults = {key: Origin(value, "Connect") for key, value in _OF_CONNECT.items()}
    if herder.exactly_once:
        defaults["enable.idempotence"] = Origin("true", "exactly once")
    worker = herder.worker or {}
    return Start(
        flow=herder.name,
        place=herder.place,
        group_id=_text(worker, "group.id", "(the worker's own)"),
        exactly_once=herder.exactly_once,
        connectors=dict(_connectors(herder)),
        topics=tuple(_topics(herder)),
        consumer={**fixed, **_origins(consumer)},
        producer={**defaults, **_origins(producer)},
    )


def _connectors(herder: Herder) -> Iterator[tuple[str, str]]:
    for part in CONNECTOR_PARTS:
        settings = herder.connectors.get(part)
        if settings is None:
            continue
        name = f"Mirror{part.value.split()[0].title()}Connector"
        yield name, _does(herder, part, settings)


def _does(herder: Herder, part: Part, settings: Settings) -> str:
    if part is Part.HEARTBEAT:
        on = is_true(settings.get("emit.heartbeats.enabled"), default=True)
        return f"writes heartbeats to {herder.target}" if on else "emits nothing"
    if not herder.copies:
        return "does nothing: the flow is not enabled"
    if part is Part.CHECKPOINT:
        if not is_true(settings.get("emit.checkpoints.enabled"), default=True):
            return "emits nothing"
        synced = is_true(settings.get("sync.group.offsets.enabled"))
        groups = _text(settings, "groups", ".*")
        return f"translates offsets of groups {groups}" + (f" and commits them in {herder.target}" if synced else "")
    return f"copies topics {_text(settings, 'topics', '.*')} with at most {_text(settings, 'tasks.max', '1')} tasks"


def _topics(herder: Herder) -> Iterator[Topic]:
    worker = herder.worker
    for store, purpose in (("offset", "source offsets"), ("config", "configurations"), ("status", "states")):
        if worker is not None:
            name = _text(worker, f"{store}.storage.topic", f"(the worker's {store}.storage.topic)")
            yield Topic(name, herder.target, purpose, _text(worker, f"{store}.storage.replication.factor", "3"))
    source, checkpoint = herder.connectors.get(Part.SOURCE), herder.connectors.get(Part.CHECKPOINT)
    heartbeat = herder.connectors.get(Part.HEARTBEAT)
    if source is not None and herder.copies:
        at_source = _text(source, "offset-syncs.topic.location", "source") == "source"
        name = f"mm2-offset-syncs.{herder.target if at_source else herder.source}.internal"
        factor = _text(source, "offset-syncs.topic.replication.factor", "3")
        yield Topic(name, herder.source if at_source else herder.target, "pairs of offsets", factor)
        yield Topic("copied topics that are missing", herder.target, "copies", _text(source, "replication.factor", "2"))
    if checkpoint is not None and herder.copies:
        factor = _text(checkpoint, "checkpoints.topic.replication.factor", "3")
        yield Topic(f"{herder.source}.checkpoints.internal", herder.target, "translated offsets", factor)
    if heartbeat is not None and herder.place is not Place.STRIMZI:
        yield Topic(
            "heartbeats", herder.target, "heartbeats", _text(heartbeat, "heartbeats.topic.replication.factor", "3")
        )


def _origins(settings: Settings) -> dict[str, Origin]:
    return {key: Origin(_masked(key, value), f"{value.path}:{value.line}") for key, value in sorted(settings.items())}


def _masked(key: str, value: Value) -> str:
    secret = key.endswith(("password", "jaas.config", "secret", "passphrase", "keystore.key"))
    return "***" if secret and "${" not in value.text else value.text


def _text(settings: Settings, key: str, default: str) -> str:
    return settings[key].text.strip() if key in settings else default


def _lines(start: Start) -> Iterator[str]:
    once = {True: "exactly once", False: "not exactly once", None: "exactly once: not shown here"}[start.exactly_once]
    yield f"{start.flow} ({start.place}, {once}), group {start.group_id}"
    for name, does in start.connectors.items():
        yield f"  {name}: {does}"
    for topic in start.topics:
        yield f"  topic in {topic.cluster}: {topic.name} ({topic.purpose}, {topic.replication_factor} replicas)"
    for title, settings in (("consumer of the source", start.consumer), ("producer of the copies", start.producer)):
        yield f"  {title}:"
        for key, setting in settings.items():
            yield f"    {key} = {setting.value}  [{setting.origin}]"
