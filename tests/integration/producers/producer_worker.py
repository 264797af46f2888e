"""A worker as a process of its own, for tests: ``python producer_worker.py CONFIG.json``.

It can be made to die or to freeze at a named point: by ``CONFIG.trap`` when it starts, or later with SIGUSR1.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb_streams import StreamClient
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from producers.stream import FeedSource, ProducerSettings, Worker
from producers.stream.kafka_log import KafkaLog
from producers.stream.slot import Slot
from producers.stream.transaction import Transaction
from schemas import bundled
from schemas.codec import ChangeCodec

POINTS: dict[str, tuple[type, str, bool]] = {
    "before init": (KafkaLog, "take", False),
    "after init": (KafkaLog, "take", True),
    "reading back": (KafkaLog, "_read_to", False),
    "between produce and commit": (Transaction, "save_positions", True),
    "after commit": (Slot, "_committed", False),
    "discovering": (StreamClient, "_describe", True),
}
"""Where a worker can be made to die or to freeze: a method, and whether that is before or after its work."""

SENT_AFTER_S = 0.5
"""What was produced is at the broker by then: between produce and commit there is a transaction to be left open."""


class Trap:
    """Has this process hit itself at the ``number``-th time that it comes to a point, once, leaving a witness."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._point, self._left = "", 0
        self._blow, self._witness = signal.SIGKILL, file.with_suffix(".struck")
        for point in POINTS:
            self._lay(point)

    def arm(self, *_: object) -> None:
        """Read the file that names point, number and blow."""
        told = json.loads(self._file.read_text())
        with self._lock:
            self._blow, self._point = signal.Signals[told["blow"]], told["point"]
            self._left = told.get("number", 1)

    def _lay(self, point: str) -> None:
        owner, name, after = POINTS[point]
        original = getattr(owner, name)

        def method(itself: Any, *arguments: Any, **named: Any) -> Any:
            if not after:
                self._came_by(point)
            result = original(itself, *arguments, **named)
            if after:
                self._came_by(point)
            return result

        setattr(owner, name, method)

    def _came_by(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            if self._left > 0:
                return
            self._point = ""
        if point == "between produce and commit":
            time.sleep(SENT_AFTER_S)
        self._witness.write_text(point)
        os.kill(os.getpid(), self._blow)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    trap = Trap(Path(sys.argv[1]).with_suffix(".trap"))
    if config["armed"]:
        trap.arm()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGUSR1, trap.arm)
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
