"""From a consumer's section to its sink, with everything it touches passed in."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.redshift import Redshift
from connectors.registry import image_schema
from connectors.s3 import ObjectStore
from consumers.analytics import AnalyticsSink
from consumers.archive import ArchiveSink
from consumers.audit import AuditSink, anchor_of, signer_of
from consumers.notification import NotificationSink
from consumers.runtime import BatchSink, RecordSink
from consumers.warehouse import WarehouseSink
from feed.config.consumers import (
    AnalyticsConsumer,
    AnyConsumer,
    ArchiveConsumer,
    AuditConsumer,
    NotificationConsumer,
    WarehouseConsumer,
)
from feed.run.memory import settle_memory
from feed.run.process import Process
from schemas.codec import ChangeCodec, Depth


def sink_of(
    section: AnyConsumer, *, topic: str, image: str, codec: ChangeCodec, aws: AwsClients, process: Process
) -> RecordSink | BatchSink:
    """The sink that a section describes.

    Args:
        section: the consumer's settings.
        topic: the live topic of changes.
        image: name or path of the table's image schema, for sinks with typed columns.
        codec: the feed's codec.
        aws: the AWS services of the consumer's region.
        process: where metrics go, and the clock.
    """
    registry, clock_ms = process.telemetry.registry, process.clock_ms
    settle_memory()
    match section:
        case WarehouseConsumer(sink=settings):
            return WarehouseSink.open(settings, aws, registry=registry, now_ms=clock_ms)
        case NotificationConsumer(sink=settings):
            return NotificationSink.open(topic, settings, aws, registry=registry, now_ms=clock_ms)
        case AuditConsumer(sink=settings):
            store = ObjectStore.writing(aws, settings.bucket)
            signer, anchor = signer_of(settings, aws), anchor_of(settings, aws)
            return AuditSink(store, settings, registry=registry, now_ms=clock_ms, signer=signer, anchor=anchor)
        case ArchiveConsumer(sink=settings):
            store = ObjectStore.writing(aws, settings.bucket)
            return ArchiveSink(store, settings, registry=registry, now_ms=clock_ms)
        case AnalyticsConsumer(sink=settings, warehouse=warehouse):
            return AnalyticsSink(
                ObjectStore.writing(aws, settings.bucket),
                Redshift(aws.client("redshift-data"), warehouse, now_ms=clock_ms),
                image=image_schema(image),
                decode=lambda value: codec.decode(value, Depth.AFTER),
                settings=settings,
                registry=registry,
                now_ms=clock_ms,
            )
