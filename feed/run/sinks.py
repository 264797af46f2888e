"""From a consumer's section to its sink, with everything it touches passed in."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.s3 import ObjectStore
from consumers.archive import ArchiveSink
from consumers.audit import AuditSink
from consumers.runtime import BatchSink, RecordSink
from feed.config.consumers import AnyConsumer, ArchiveConsumer, AuditConsumer
from feed.run.process import Process


def sink_of(section: AnyConsumer, aws: AwsClients, process: Process) -> RecordSink | BatchSink:
    """The sink that a section describes."""
    registry, clock_ms = process.telemetry.registry, process.clock_ms
    match section:
        case AuditConsumer(sink=settings):
            store = ObjectStore(aws.client("s3"), settings.bucket)
            return AuditSink(store, settings, registry=registry, now_ms=clock_ms)
        case ArchiveConsumer(sink=settings):
            store = ObjectStore(aws.client("s3"), settings.bucket)
            return ArchiveSink(store, settings, registry=registry, now_ms=clock_ms)
