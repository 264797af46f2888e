"""What others do with the same topic: one peer, one pass, one line of JSON (run by ``loops.py --peers``).

Its own environment: ``uv pip install "faststream[confluent]" quixstreams sentry-arroyo faust-streaming cramjam
fastavro`` (Faust needs cramjam for zstd).
Each peer decodes every record with fastavro, as the runtime's loops do, with its documented settings for throughput.
"""

# ruff: noqa: PLC0415 (a pass imports the one peer that it measures)
from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastavro import parse_schema, schemaless_reader

SCHEMA = parse_schema(json.loads(Path(__file__).with_name("order.avsc").read_text(encoding="utf-8")))


def decode(value: bytes) -> Any:
    return schemaless_reader(BytesIO(value), SCHEMA, None)


class Meter:
    """Times from the first record to the last, so that joining a group is nobody's cost."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.count = 0
        self.began = self.cpu = 0.0

    def add(self, records: int) -> bool:
        """True when all are done."""
        if self.count == 0:
            self.began, self.cpu = time.perf_counter(), time.process_time()
        self.count += records
        return self.count >= self.wanted

    def report(self) -> None:
        took, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        print(json.dumps({"rate": self.count / took, "cpu": cpu * 1e6 / self.count}))


def faststream(bootstrap: str, topic: str, group: str, meter: Meter, *, batch: bool) -> None:
    from faststream import AckPolicy
    from faststream.confluent import KafkaBroker

    broker = KafkaBroker(bootstrap, logger=None)
    done = asyncio.Event()
    common: dict[str, Any] = {"group_id": group, "auto_offset_reset": "earliest", "decoder": lambda m: m.body}
    if batch:

        @broker.subscriber(topic, batch=True, max_records=500, ack_policy=AckPolicy.ACK, **common)
        async def many(values: list[Any]) -> None:
            for value in values:
                decode(value)
            if meter.add(len(values)):
                done.set()
    else:

        @broker.subscriber(topic, ack_policy=AckPolicy.ACK, **common)
        async def one(value: Any) -> None:
            decode(value)
            if meter.add(1):
                done.set()

    async def run() -> None:
        async with broker:
            await broker.start()
            await done.wait()
            meter.report()
            sys.stdout.flush()

    asyncio.run(run())


def quix(bootstrap: str, topic: str, group: str, meter: Meter) -> None:
    from quixstreams import Application

    app = Application(bootstrap, consumer_group=group, auto_offset_reset="earliest", loglevel="ERROR")
    frame = app.dataframe(app.topic(topic, value_deserializer="bytes"))

    def act(value: bytes) -> None:
        decode(value)
        if meter.add(1):
            meter.report()
            sys.stdout.flush()
            app.stop()

    frame.update(act)
    app.run()


def arroyo(bootstrap: str, topic: str, group: str, meter: Meter) -> None:
    from arroyo.backends.kafka import KafkaConsumer
    from arroyo.processing import StreamProcessor
    from arroyo.processing.strategies import CommitOffsets, RunTask
    from arroyo.types import Topic

    class Factory:
        def create_with_partitions(self, commit: Any, _partitions: Any) -> Any:
            return RunTask(act, CommitOffsets(commit))

        def shutdown(self) -> None: ...

    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
    }
    processor = StreamProcessor(KafkaConsumer(settings), Topic(topic), Factory())

    def act(message: Any) -> Any:
        decode(message.payload.value)
        if meter.add(1):
            meter.report()
            sys.stdout.flush()
            processor.signal_shutdown()
        return message.payload

    processor.run()


def faust(bootstrap: str, topic: str, group: str, meter: Meter) -> None:
    import faust as library

    with TemporaryDirectory() as folder:
        app = library.App(
            group,
            broker=f"kafka://{bootstrap}",
            value_serializer="raw",
            topic_disable_leader=True,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
            datadir=folder,
        )

        @app.agent(app.topic(topic))
        async def act(stream: Any) -> None:
            async for value in stream:
                decode(value)
                if meter.add(1):
                    meter.report()
                    sys.stdout.flush()
                    os._exit(0)  # its own stop takes half a minute, and nothing of it is measured

        library.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


PEERS: dict[str, Callable[[str, str, str, Meter], None]] = {
    "FastStream, batch": lambda *told: faststream(*told, batch=True),
    "FastStream, one by one": lambda *told: faststream(*told, batch=False),
    "Quix Streams": quix,
    "arroyo": arroyo,
    "Faust": faust,
}


def main() -> None:
    bootstrap, topic, group, wanted, name = sys.argv[1:]
    logging.disable(logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        PEERS[name](bootstrap, topic, group, Meter(int(wanted)))


if __name__ == "__main__":
    main()
