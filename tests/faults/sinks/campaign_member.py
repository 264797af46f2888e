"""A batch sink's consumer as a process that may die at a named point: ``python -m … '{"bootstrap": …}'``."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Any, cast

from confluent_kafka import KafkaError, TopicPartition
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.signing import FileSigner
from connectors.telemetry import Telemetry
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.runtime import BatchSink, KafkaBroker, RuntimeSettings, consumer, time_of
from consumers.runtime.client import CommitCallback, GroupClient
from schemas.bundled import load
from schemas.codec import Depth
from tests.faults.consumers.member_sinks import Death, now_ms
from tests.faults.consumers.orders_topic import CODEC
from tests.faults.consumers.stored_effects import REDSHIFT
from tests.faults.sinks.dying_store import DyingStore
from tests.faults.sinks.dying_warehouse import DyingRedshift


class DyingClient:
    """A group's client whose process may die before a commit is sent."""

    def __init__(self, client: GroupClient, death: Death) -> None:
        self._client = client
        self._death = death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> Any:
        self._death.at("before-commit")
        return self._client.commit(offsets=offsets, asynchronous=asynchronous)


class DyingBroker(KafkaBroker):
    """A cluster whose client's process may die around a commit."""

    death: Death

    def join(self, group: str, on_commit: CommitCallback) -> GroupClient:
        def answered(error: KafkaError | None, partitions: list[TopicPartition]) -> None:
            if error is None:
                self.death.at("after-commit")
            on_commit(error, partitions)

        return cast("GroupClient", DyingClient(super().join(group, answered), self.death))


def sink_of(told: dict[str, Any], death: Death, registry: CollectorRegistry) -> BatchSink:
    """The sink that a member was told to run, with segments, minutes and loads of seconds."""
    clients = AwsClients(AwsSettings.model_validate(told["aws"]))
    bucket = told["bucket"]
    store = DyingStore.writing(clients, bucket)  # as in production
    store.passing = death.at
    match told["sink"]:
        case "audit":
            audit = AuditSettings(bucket=bucket, segment_ms=1_000, retention_days=1, digest_interval_ms=5_000)
            signer = FileSigner(Path(told["key"]))
            return AuditSink(store, audit, registry=registry, now_ms=now_ms, signer=signer)
        case "archive":
            archive = ArchiveSettings(bucket=bucket, grace_ms=0, open_ms=2_000)
            return ArchiveSink(store, archive, registry=registry, now_ms=now_ms)
    redshift = DyingRedshift(clients.client("redshift-data"), REDSHIFT)
    redshift.passing = death.at
    return AnalyticsSink(
        store,
        redshift,
        image=load("order"),
        decode=lambda value: CODEC.decode(value, Depth.AFTER),
        settings=AnalyticsSettings(bucket=bucket, interval_ms=5_000),
        registry=registry,
        now_ms=now_ms,
    )


def main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("botocore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    telemetry, stop = Telemetry("member"), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    death = Death(told["point"], told["after"], Path(told["witness"]))
    settings = RuntimeSettings(**told["settings"])
    broker = DyingBroker(KafkaClients(KafkaSettings(bootstrap_servers=told["bootstrap"]), client_id="member"), settings)
    broker.death = death
    consumer(
        sink_of(told, death, telemetry.registry),
        topic=told["topic"],
        group=told["group"],
        broker=broker,
        decode=CODEC.decode,
        time_of=time_of("updatedAt"),
        settings=settings,
        telemetry=telemetry,
        stop=stop,
    ).run_forever()


if __name__ == "__main__":
    main()
