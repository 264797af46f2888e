"""``feed run producer``: one worker of the stream producer."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from feed.config import FeedConfig
from feed.run.codec import codec_of
from feed.run.preflight import check_table, check_topics
from feed.run.process import Process
from producers.stream import FeedSource, Worker


def run_producer(config: FeedConfig, process: Process) -> None:
    """Read the table's stream and publish it until the process is asked to stop.

    Raises:
        ConfigError: the cluster, a topic, the table or its stream is not as it must be.
        FatalError: going on would break a promise.
    """
    table, region = config.table, config.source
    kafka = KafkaClients(region.kafka, client_id=process.name)
    aws = AwsClients(region.aws)
    names = tuple(f"{config.feed}{suffix}" for suffix in ("", ".positions", ".control", ".dead-letter"))
    codec = codec_of(config)
    check_topics(config, table.region, kafka, names)
    check_table(config, aws)
    source = FeedSource(
        feed=config.feed,
        table=table.name,
        region=region.aws.region,
        time_attribute=table.time_attribute,
        region_attribute=table.region_attribute,
    )
    Worker(
        source,
        config.producer,
        kafka=kafka,
        aws=aws,
        codec=codec,
        telemetry=process.telemetry,
        stop=process.stop,
    ).run_forever()
