"""A consumer as a process that may die at a named point: ``python member.py '{"bootstrap": …}'``."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from connectors.kafka import KafkaClients, KafkaSettings
from connectors.telemetry import Telemetry
from consumers.runtime import Consumer, KafkaBroker, RuntimeSettings, consumer, time_of
from tests.faults.consumers.member_sinks import Death, sink_of
from tests.faults.consumers.orders_topic import CODEC


def watch(running: Consumer, death: Death) -> None:
    """Put the points that lie in the runtime in place."""
    flow: Any = running._flow
    settle: Callable[[Collection[int], int], None] = flow.settle

    def settle_and_die(partitions: Collection[int], budget_ms: int) -> None:
        death.at("in-revoke")
        death.settling = True
        settle(partitions, budget_ms)
        death.settling = False
        death.at("settled-not-committed")

    flow.settle = settle_and_die


def main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("botocore", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    telemetry, stop = Telemetry("member"), threading.Event()
    telemetry.serve("127.0.0.1", told["port"])
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    death = Death(told["point"], told["after"], Path(told["witness"]))
    settings = RuntimeSettings(**told["settings"])
    clients = KafkaClients(KafkaSettings(bootstrap_servers=told["bootstrap"]), client_id=told["name"])
    running = consumer(
        sink_of(told, death, telemetry.registry),
        topic=told["topic"],
        group=told["group"],
        broker=KafkaBroker(clients, settings),
        decode=CODEC.decode,
        time_of=time_of("updatedAt"),
        settings=settings,
        telemetry=telemetry,
        stop=stop,
    )
    watch(running, death)
    running.run_forever()
    telemetry.close()


if __name__ == "__main__":
    main()
