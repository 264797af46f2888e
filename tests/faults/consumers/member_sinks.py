"""The five sinks, with the points at which a member of their group dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb import EffectTable
from connectors.messaging import open_messenger
from connectors.redshift import Redshift
from connectors.s3 import ObjectStore, PutOutcome
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.notification import NotificationSettings, NotificationSink, SendRate
from consumers.runtime import BatchSink, Record, RecordSink
from consumers.warehouse import WarehouseSettings, WarehouseSink
from feed.testing import aws_settings
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import Depth
from schemas.errors import RetryableError
from tests.faults.consumers.orders_topic import CODEC
from tests.faults.consumers.stored_effects import REDSHIFT

LOAD_STATEMENTS = 5
"""A submission of more statements than this is a load; fewer look something up."""

FAILURES_BEFORE = 3
"""Failures of an effect before a member dies while a key is parked, or while its store is away."""


class Death:
    """Ends the process with -9 at a point, the ``after``-th time that it comes by; a witness file says that it did."""

    def __init__(self, point: str, after: int, witness: Path) -> None:
        self.point = point
        self.settling = False
        self._left = after
        self._witness = witness
        self._failures = 0
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        if point != self.point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._witness.write_text(point)
                os.kill(os.getpid(), signal.SIGKILL)

    def fail(self, point: str) -> None:
        """Fail a few times before dying.

        Raises:
            RetryableError: always.
        """
        self._failures += 1
        if self._failures >= FAILURES_BEFORE:
            self.at(point)
        raise RetryableError("told to fail", hint="a test")

    def before_store(self) -> None:
        """A batch is about to be stored."""
        self.at("before-effect")
        if self.settling:
            self.at("in-flush")
        if self.point == "while-away":
            self.fail("while-away")


class Mortal:
    """A record sink whose member may die around an effect."""

    def __init__(self, sink: RecordSink, death: Death) -> None:
        self._sink = sink
        self._death = death
        self.name = sink.name

    def handle(self, change: Change) -> None:
        self._death.at("before-effect")
        if self._death.point == "while-parked" and change.key["orderId"]["S"].endswith("7"):
            self._death.fail("while-parked")
        self._sink.handle(change)
        self._death.at("after-effect")


class MortalNotifications(Mortal):
    """The same, and selective as the sink within is."""

    def __init__(self, sink: NotificationSink, death: Death) -> None:
        super().__init__(sink, death)
        self._selective = sink

    def passes_over(self, record: Record) -> str | None:
        return self._selective.passes_over(record)


class MortalStore(ObjectStore):
    """A store whose member may die around a PUT."""

    death: Death

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> PutOutcome:
        self.death.before_store()
        outcome = super().put_create_only(key, body, metadata, retain_until=retain_until, content_type=content_type)
        self.death.at("after-effect")
        return outcome


class MortalRedshift(Redshift):
    """A warehouse whose member may die around the submission of a load."""

    death: Death

    def submit(self, sqls: Sequence[str], *, token: str | None = None) -> str:
        is_load = len(sqls) > LOAD_STATEMENTS
        if is_load:
            self.death.before_store()
        statement_id = super().submit(sqls, token=token)
        if is_load:
            self.death.at("after-effect")
        return statement_id


def sink_of(told: dict[str, Any], death: Death, registry: CollectorRegistry) -> RecordSink | BatchSink:
    """The sink that a member was told to run."""
    match told["sink"]:
        case "warehouse":
            return Mortal(_warehouse(told, registry), death)
        case "notification":
            return MortalNotifications(_notification(told, registry), death)
    clients = AwsClients(AwsSettings.model_validate(told["aws"]))
    bucket = told["bucket"]
    store = MortalStore(clients.client("s3"), bucket)
    store.death = death
    match told["sink"]:
        case "audit":
            audit = AuditSettings(bucket=bucket, segment_ms=1_000, retention_days=1)
            return AuditSink(store, audit, registry=registry, now_ms=now_ms)
        case "archive":
            archive = ArchiveSettings(bucket=bucket, grace_ms=0, open_ms=2_000)
            return ArchiveSink(store, archive, registry=registry, now_ms=now_ms)
    redshift = MortalRedshift(clients.client("redshift-data"), REDSHIFT)
    redshift.death = death
    return AnalyticsSink(
        ObjectStore(clients.client("s3"), bucket),
        redshift,
        image=load("order"),
        decode=lambda value: CODEC.decode(value, Depth.AFTER),
        settings=AnalyticsSettings(bucket=bucket, interval_ms=2_000),
        registry=registry,
        now_ms=now_ms,
    )


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def _warehouse(told: dict[str, Any], registry: CollectorRegistry) -> WarehouseSink:
    settings = WarehouseSettings(table=told["table"], keep_history=10_000)
    return WarehouseSink(_table(told, told["table"]), settings, registry=registry, now_ms=now_ms)


def _notification(told: dict[str, Any], registry: CollectorRegistry) -> NotificationSink:
    settings = NotificationSettings.model_validate(told["notification"])
    return NotificationSink(
        told["topic"],
        _table(told, settings.table),
        open_messenger(settings.messenger, AwsClients(aws_settings(told["endpoint"]))),
        settings,
        rate=SendRate(settings.rate_per_s, monotonic=time.monotonic, sleep=time.sleep),
        registry=registry,
        now_ms=now_ms,
    )


def _table(told: dict[str, Any], name: str) -> EffectTable:
    aws = AwsClients(aws_settings(told["endpoint"]))
    return EffectTable(aws.client("dynamodb"), name, calls=aws.dynamodb_calls())
