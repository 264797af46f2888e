"""The control topic in the stores of raw records: kept beside the changes, by a sink of the same kind.

What the feed declares about itself (refused changes, ends of shards, gaps) must lie where the changes lie, so that
audit log and archive are proven without Kafka. So the process of such a consumer reads ``<feed>.control`` as well, in a
group of its own, into a chain or a partition of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from connectors.telemetry import Telemetry
from consumers.runtime import Consumer, ConsumerMetrics, KafkaBroker, consumer
from feed.config import FeedConfig
from feed.config.consumers import WHEN_LAPSED, ArchiveConsumer, AuditConsumer
from feed.run.process import Process
from feed.run.sinks import sink_of
from schemas.codec import ChangeCodec

STOP_BOUND_S: Final = 30.0
"""How long the control topic's last upload may take when the process stops."""

SINKS: Final = "feed_sink_"
OF_CONTROL: Final = "feed_control_sink_"
"""How the sink's series begin, and how those of the control topic's sink do: they have the same names otherwise, and
one process serves both."""

_log = logging.getLogger(__name__)


class ControlSeries(Collector):
    """The series of the control topic's sink, under names of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def describe(self) -> list[Metric]:
        """Nothing: the names are those of the sink, and known once it counts."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family of the sink, renamed."""
        for family in self._registry.collect():
            if family.name.startswith(SINKS):
                renamed = Metric(_renamed(family.name), f"{family.documentation} (control events)", family.type)
                renamed.samples = [sample._replace(name=_renamed(sample.name)) for sample in family.samples]
                yield renamed


def _renamed(name: str) -> str:
    return OF_CONTROL + name.removeprefix(SINKS)


class ControlStore:
    """A consumer in a thread of its own while the main one runs. A context manager.

    When either ends, the other is asked to stop; an error of this one is raised once the main one has ended in order.
    """

    def __init__(self, running: Consumer, stop: threading.Event) -> None:
        self._running = running
        self._stop = stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="control-store", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(STOP_BOUND_S)
        if self._thread.is_alive():
            _log.warning("the control topic's store did not end in time bound_s=%.0f", STOP_BOUND_S)
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._running.run_forever()
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            self._error = error
        finally:
            self._stop.set()


def control_store(
    config: FeedConfig,
    section: AuditConsumer | ArchiveConsumer,
    *,
    group: str,
    kafka: KafkaClients,
    codec: ChangeCodec,
    process: Process,
    metrics: ConsumerMetrics,
) -> ControlStore:
    """The control topic's consumer for a store of raw records: group ``<group>.control``.

    Its health and readiness are the process's, and so is the port of its metrics: the consumer's series have
    ``sink="<name>-control"``, the sink's begin with :data:`OF_CONTROL`.

    Args:
        config: the feed.
        section: the consumer.
        group: its group.
        kafka: the cluster of its region.
        codec: the feed's codec.
        process: what both belong to.
        metrics: the main consumer's.
    """
    telemetry = Telemetry(f"{process.name}-control")
    process.telemetry.registry.register(ControlSeries(telemetry.registry))
    telemetry.health, telemetry.readiness = process.telemetry.health, process.telemetry.readiness
    beside = Process(f"{process.name}-control", telemetry, process.stop, process.clock_ms)
    topic, aws = f"{config.feed}.control", AwsClients(config.regions[section.region].aws)
    running = consumer(
        sink_of(section, topic=topic, image=config.table.image_schema, codec=codec, aws=aws, process=beside),
        topic=topic,
        group=f"{group}.control",
        broker=KafkaBroker(kafka, section.runtime),
        decode=codec.decode,
        time_of=lambda _: None,
        settings=section.runtime,
        telemetry=telemetry,
        stop=process.stop,
        now_ms=process.clock_ms,
        metrics=metrics.beside(f"{metrics.sink}-control"),
        when_lapsed=WHEN_LAPSED[section.kind],
    )
    return ControlStore(running, process.stop)
