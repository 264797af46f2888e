"""A worker as a process of its own, for tests: ``python producer_worker.py CONFIG.json``."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from producers.stream import FeedSource, ProducerSettings, Worker
from schemas import bundled
from schemas.codec import ChangeCodec


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
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
