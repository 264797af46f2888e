"""A warehouse consumer as a process that dies at a named point: ``python member.py '{"bootstrap": …}'``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable
from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from consumers.runtime import Consumer, KafkaBroker, RuntimeSettings, consumer, time_of
from consumers.warehouse import WarehouseSettings, WarehouseSink
from feed.testing import aws_settings
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.errors import RetryableError


class Dying:
    """The warehouse, killed with -9 at a point, the ``after``-th time that it comes by."""

    name = "warehouse"

    def __init__(self, sink: WarehouseSink, point: str, after: int, witness: Path) -> None:
        self._sink = sink
        self._point = point
        self._left = after
        self._witness = witness
        self._parked = 0

    def at(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self._witness.write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)

    def handle(self, change: Change) -> None:
        self.at("before-effect")
        if self._point == "while-parked":
            self._fail_some(change)
        self._sink.handle(change)
        self.at("after-effect")

    def _fail_some(self, change: Change) -> None:
        if change.key["orderId"]["S"].endswith("7"):
            self._parked += 1
            if self._parked >= 3:
                self.at("while-parked")
            raise RetryableError("told to fail", hint="a test")


def watch(running: Consumer, dying: Dying) -> None:
    """Put the points that lie in the runtime in place."""
    flow: Any = running._flow
    settle: Callable[[Collection[int], int], None] = flow.settle

    def settle_and_die(partitions: Collection[int], budget_ms: int) -> None:
        dying.at("in-revoke")
        settle(partitions, budget_ms)
        dying.at("settled-not-committed")

    flow.settle = settle_and_die


def main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    telemetry, stop = Telemetry("member"), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    table = EffectTable(AwsClients(aws_settings(told["endpoint"])).client("dynamodb"), told["table"])
    sink = WarehouseSink(
        table,
        WarehouseSettings(table=told["table"], keep_history=10_000),
        registry=telemetry.registry,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    dying = Dying(sink, told.get("point", ""), told.get("after", 0), Path(told["witness"]))
    settings = RuntimeSettings(**told["settings"])
    clients = KafkaClients(KafkaSettings(bootstrap_servers=told["bootstrap"]), client_id=told["name"])
    running = consumer(
        dying,
        topic=told["topic"],
        group=told["group"],
        broker=KafkaBroker(clients, settings),
        decode=ChangeCodec.for_image(load("order")).decode,
        time_of=time_of("updatedAt"),
        settings=settings,
        telemetry=telemetry,
        stop=stop,
    )
    watch(running, dying)
    running.run_forever()


if __name__ == "__main__":
    main()
