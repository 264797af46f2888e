"""``feed run consumer NAME``: one member of a consumer's group."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from consumers.runtime import BY_REPLAY, ConsumerMetrics, KafkaBroker, RecordSink, ReplaySide, consumer, time_of
from feed.config import FeedConfig
from feed.config.consumers import TAKES_NO_REPLAY, WHEN_LAPSED, ArchiveConsumer, AuditConsumer
from feed.run.codec import codec_of
from feed.run.control_store import control_store
from feed.run.preflight import check_topics
from feed.run.process import Process
from feed.run.sinks import sink_of
from schemas.errors import ConfigError
from schemas.replay import replay_topic


def run_consumer(config: FeedConfig, name: str, process: Process) -> None:
    """Give the region's topic to the sink until the process is asked to stop.

    Raises:
        ConfigError: there is no such consumer, or what it needs is not there.
        FatalError: going on would break a promise; nothing more was committed.
    """
    section = config.consumers.get(name)
    if section is None:
        known = ", ".join(sorted(config.consumers)) or "none"
        raise ConfigError(f"feed.yaml has no consumer {name!r}", hint=f"known: {known}")
    group = f"{config.feed}.{name}"
    kafka = KafkaClients(config.regions[section.region].kafka, client_id=process.name)
    control = (f"{config.feed}.control",) if isinstance(section, AuditConsumer | ArchiveConsumer) else ()
    check_topics(config, section.region, kafka, (config.feed, f"{group}.dead-letter", *control))
    codec = codec_of(config)
    aws = AwsClients(config.regions[section.region].aws)
    sink = sink_of(section, topic=config.feed, image=config.table.image_schema, codec=codec, aws=aws, process=process)
    metrics = ConsumerMetrics(sink.name, process.telemetry.registry)
    replays = replay_topic(config.feed, name) if section.kind not in TAKES_NO_REPLAY else None
    running = consumer(
        sink,
        topic=config.feed,
        group=group,
        broker=KafkaBroker(kafka, section.runtime),
        decode=codec.decode,
        time_of=time_of(config.table.time_attribute),
        settings=section.runtime,
        telemetry=process.telemetry,
        stop=process.stop,
        now_ms=process.clock_ms,
        metrics=metrics,
        replay_topic=replays,
        when_lapsed=WHEN_LAPSED.get(section.kind, BY_REPLAY),
    )
    if isinstance(section, AuditConsumer | ArchiveConsumer):
        beside = control_store(config, section, group=group, kafka=kafka, codec=codec, process=process, metrics=metrics)
        with beside:
            running.run_forever()
    elif replays is not None and isinstance(sink, RecordSink):
        with ReplaySide(
            sink,
            replay_topic=replays,
            group=group,
            broker=lambda: KafkaBroker(kafka, section.runtime),
            decode=codec.decode,
            settings=section.runtime,
            telemetry=process.telemetry,
            metrics=metrics,
            stop=process.stop,
            now_ms=process.clock_ms,
        ):
            running.run_forever()
    else:
        running.run_forever()
