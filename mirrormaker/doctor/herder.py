"""What would run: one herder for a flow, with the effective settings of each part and where each was written.

Kafka decides these by prefix and level (MirrorMakerConfig, MirrorConnectorConfig, Worker); the functions here follow
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mirrormaker.doctor.document import Settings, Value
from mirrormaker.doctor.known import KnownKeys


class Part(StrEnum):
    """Whose settings are meant."""

    WORKER = "worker"
    SOURCE = "source connector"
    CHECKPOINT = "checkpoint connector"
    HEARTBEAT = "heartbeat connector"
    CONSUMER = "consumer of the source"
    PRODUCER = "producer of the copies"


class Place(StrEnum):
    """How MirrorMaker is run, which decides how a key is spelled."""

    DEDICATED = "dedicated"
    CONNECT = "connect"
    STRIMZI = "strimzi"


CONNECTOR_PARTS = (Part.SOURCE, Part.CHECKPOINT, Part.HEARTBEAT)


@dataclass(frozen=True)
class Herder:
    """One flow's worker and connectors.

    Attributes:
        source: alias of the source.
        target: alias of the target.
        place: how it is run.
        copies: whether records are copied (``enabled``); a herder can run for heartbeats alone.
        anchor: what to point at when something is missing.
        worker: settings of the worker; None: the file does not show them.
        connectors: settings of the connectors that the file shows.
    """

    source: str
    target: str
    place: Place
    copies: bool
    anchor: Value
    worker: Settings | None
    connectors: dict[Part, Settings] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``eu->us``."""
        return f"{self.source}->{self.target}"

    @property
    def exactly_once(self) -> bool | None:
        """Whether records and offsets are one transaction; None: the file does not show it."""
        if self.worker is not None:
            return _text(self.worker, "exactly.once.source.support").lower() == "enabled"
        required = _text(self.connectors.get(Part.SOURCE, {}), "exactly.once.support").lower() == "required"
        return True if required else None

    def settings(self, part: Part, known: KnownKeys) -> Settings | None:
        """The effective settings of a part; None: the file does not show them."""
        match part:
            case Part.WORKER:
                return self.worker
            case Part.CONSUMER:
                connector = self.connectors.get(Part.SOURCE)
                return None if connector is None else source_consumer(connector, known)
            case Part.PRODUCER:
                return self._producer()
            case _:
                return self.connectors.get(part)

    def spelled(self, part: Part, key: str) -> str:
        """How the file must say a key so that this part reads it."""
        dedicated = self.place is Place.DEDICATED
        match part:
            case Part.CONSUMER:
                return f"{self.source}.consumer.{key}" if dedicated else f"source.consumer.{key}"
            case Part.PRODUCER:
                return f"{self.target}.producer.{key}" if dedicated else f"producer.override.{key}"
            case Part.WORKER:
                return f"{self.target}.{key}" if dedicated else key
            case _:
                return key

    def _producer(self) -> Settings | None:
        """The producer of copied records: the worker's ``producer.`` and the connector's ``producer.override.``."""
        connector = self.connectors.get(Part.SOURCE)
        if connector is None:
            return None
        return {**_stripped(self.worker or {}, "producer."), **_stripped(connector, "producer.override.")}


def source_consumer(connector: Settings, known: KnownKeys) -> Settings:
    """MirrorConnectorConfig.sourceConsumerConfig.

    Of ``source.cluster.`` only what every client has, then the consumer's own.
    """
    base = {key: value for key, value in _stripped(connector, "source.cluster.").items() if key in known.of("client")}
    return {**base, **_stripped(connector, "consumer."), **_stripped(connector, "source.consumer.")}


def _stripped(settings: Settings, prefix: str) -> Settings:
    return {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}


def _text(settings: Settings, key: str) -> str:
    return settings[key].text.strip() if key in settings else ""
