"""``feed run producer``: one worker of the stream producer for each feed that is named, side by side."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from connectors.registry import image_schema
from connectors.telemetry import Telemetry, TelemetryPart
from feed.config import FeedConfig
from feed.run.codec import codec_of
from feed.run.preflight import check_key, check_table, check_topics
from feed.run.process import Process
from feed.run.snapshot import companion_of
from feed.run.source import source_of
from producers.stream import Families, Worker, find_positions, needed_but_omitted
from schemas.errors import ConfigError, FatalError, FeedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedWorker:
    """A worker of one feed."""

    feed: str
    worker: Worker


def run_producers(configs: Sequence[FeedConfig], process: Process) -> None:
    """Read each table's stream and publish it until the process is asked to stop.

    All feeds are checked before the first one starts. When one of them fails, the others stop in an orderly way too: a
    process that is half at work looks alive to whoever watches it.

    Raises:
        ConfigError: a cluster, a topic, a table or its stream is not as it must be, or two feeds have one name.
        FatalError: going on with one of the feeds would break a promise.
    """
    names = [config.feed for config in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"the feed {twice[0]} is named twice", hint="each file is one feed; its name is the setting `feed`"
        )
    families = Families(process.telemetry.registry)
    alone = len(configs) == 1
    made = [
        FeedWorker(
            config.feed,
            worker_of(config, process, process.telemetry if alone else process.telemetry.part(config.feed), families),
        )
        for config in configs
    ]
    if alone:
        made[0].worker.run_forever()
    else:
        run_side_by_side(made, process.stop)


def worker_of(config: FeedConfig, process: Process, telemetry: Telemetry | TelemetryPart, families: Families) -> Worker:
    """A feed's worker, after everything that it needs was found to be there.

    Raises:
        ConfigError: something is not.
    """
    table, region = config.table, config.source
    kafka = KafkaClients(region.kafka, client_id=f"{config.feed}-producer")
    aws = AwsClients(region.aws)
    codec = codec_of(config)
    parts = ("", ".control", ".snapshot", ".dead-letter")
    check_topics(config, table.region, kafka, tuple(f"{config.feed}{part}" for part in parts))
    check_key(config, check_table(config, aws))
    _check_filter(config)
    _tell_slots(config, kafka)
    return Worker(
        source_of(config),
        config.producer,
        kafka=kafka,
        aws=aws,
        codec=codec,
        telemetry=telemetry,
        stop=process.stop,
        families=families,
        companion=companion_of(config, kafka, aws, telemetry),
    )


def run_side_by_side(workers: Sequence[FeedWorker], stop: threading.Event) -> None:
    """Run each on a thread of its own; the first that ends ends all.

    Raises:
        FatalError: what the first that failed said, with its feed's name.
    """
    failures: list[tuple[str, FeedError]] = []

    def run(one: FeedWorker) -> None:
        try:
            one.worker.run_forever()
        except FeedError as error:
            _log.error("feed failed feed=%s error=%s", one.feed, error)
            failures.append((one.feed, error))
        except Exception as error:  # noqa: BLE001 (a feed that dies unseen is the failure we fear most)
            _log.exception("feed failed feed=%s", one.feed)
            hint = "this is a bug: report it with the log's traceback"
            failures.append((one.feed, FatalError(f"its worker failed: {error!r}", hint=hint)))
        finally:
            stop.set()

    threads = [threading.Thread(target=run, args=(one,), name=f"feed-{one.feed}") for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        feed, error = failures[0]
        kind = ConfigError if isinstance(error, ConfigError) else FatalError
        raise kind(f"feed {feed}: {error}", hint=error.hint) from error


def _check_filter(config: FeedConfig) -> None:
    image = image_schema(config.table.image_schema)
    if needed := needed_but_omitted(config.producer.filter, image):
        faults = tuple(
            f"producer.filter.omit: {name!r} cannot be left out, since its field in {config.table.image_schema} "
            "cannot be null"
            for name in needed
        )
        raise ConfigError(
            faults[0], hint='make the field nullable: "type": ["null", …], "default": null', faults=faults
        )


def _tell_slots(config: FeedConfig, kafka: KafkaClients) -> None:
    found = find_positions(kafka, config.feed)
    if found.slots != config.topic.slots:
        _log.warning(
            "slots differ feed=%s topic=%s has=%d topic.slots=%d hint=what the topic has counts; "
            "`feed slots resize` changes it",
            config.feed,
            found.name,
            found.slots,
            config.topic.slots,
        )
