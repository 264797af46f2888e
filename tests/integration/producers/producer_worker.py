"""A worker as a process of its own, for tests: ``python producer_worker.py CONFIG.json``."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb_streams import StreamClient
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from producers.stream import FeedSource, ProducerSettings, Worker
from producers.stream.kafka_log import KafkaLog, KafkaSlotLog
from schemas import bundled
from schemas.codec import ChangeCodec

POINTS: dict[str, tuple[type, str, bool]] = {
    "before init": (KafkaLog, "take", False),
    "after init": (KafkaLog, "take", True),
    "reading back": (KafkaLog, "read_back", False),
    "before commit": (KafkaSlotLog, "commit", False),
    "after commit": (KafkaSlotLog, "commit", True),
    "discovering": (StreamClient, "list_shards", False),
}
"""Where a worker can be made to die or to freeze: a method, and whether that is before or after its work."""


def hit_at(point: str, number: int, blow: signal.Signals) -> None:
    """Have this process hit itself at the ``number``-th time that it comes to ``point``."""
    owner, name, after = POINTS[point]
    original, times = getattr(owner, name), itertools.count(1)

    def hit() -> None:
        if next(times) == number:
            os.kill(os.getpid(), blow)

    def method(self: Any, *arguments: Any) -> Any:
        if not after:
            hit()
        result = original(self, *arguments)
        if after:
            hit()
        return result

    setattr(owner, name, method)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    if "hit" in config:
        hit_at(config["hit"]["point"], config["hit"]["number"], signal.Signals[config["hit"]["blow"]])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    telemetry = Telemetry("producer")
    telemetry.serve(port=config["port"])
    Worker(
        FeedSource(config["feed"], config["table"], "eu-west-1", time_attribute="updatedAt"),
        ProducerSettings(**config["settings"]),
        kafka=KafkaClients(KafkaSettings(bootstrap_servers=config["bootstrap"]), client_id="worker"),
        aws=AwsClients(AwsSettings.model_validate(config["aws"])),
        codec=ChangeCodec.for_image(bundled.load("order")),
        telemetry=telemetry,
        stop=stop,
    ).run_forever()


if __name__ == "__main__":
    main()
