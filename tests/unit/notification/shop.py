"""A topic in memory, the notifications' sink on the real runtime, and what its provider took."""

from __future__ import annotations

import threading
from typing import Any

from connectors.dynamodb import EffectTable
from connectors.messaging import Message
from connectors.telemetry import Telemetry
from consumers.notification import KEY, NotificationSettings, NotificationSink, SendRate
from consumers.runtime import MemoryBroker, RuntimeSettings, consumer
from consumers.runtime.build import wall_clock_ms
from feed.testing import until
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import FAST

CODEC = ChangeCodec.for_image(load("order"))
GROUP = "orders.notification"
LIVE = "orders"


class Shop:
    """A topic, a member of the notifications' group, and what its provider took."""

    def __init__(self, client: Any, within_ms: int = 0, *, topic: str = LIVE) -> None:
        self.topic = topic
        self.broker = MemoryBroker(topic)
        self.table = EffectTable(client, "notifications")
        self.sent: list[str] = []
        self.telemetry = Telemetry("test")
        template = {"subject": "${status} ${orderId}", "text": "t"}
        self.settings = NotificationSettings.model_validate(
            {
                "messenger": {"kind": "ses", "sender": "shop@example.org"},
                "templates": dict.fromkeys(("paid", "shipped", "delivered"), template),
                "coalesce_within_ms": within_ms,
            }
        )
        self.stop = threading.Event()

    def send(self, message: Message) -> str:
        self.sent.append(message.subject)
        return f"m-{len(self.sent)}"

    def put(self, told: Change, *more: tuple[str, bytes]) -> None:
        key = told.key["orderId"]["S"].encode()
        self.broker.put(key, CODEC.encode(told), headers=[*headers_of(told), *more])

    def run(self) -> None:
        """Consume everything that is there."""
        sink = NotificationSink(
            LIVE,
            self.table,
            self,
            self.settings,
            rate=SendRate(1_000_000, monotonic=lambda: 0.0, sleep=lambda _: None),
            registry=self.telemetry.registry,
            now_ms=wall_clock_ms,
        )
        running = consumer(
            sink,
            topic=self.topic,
            group=GROUP,
            broker=self.broker,
            decode=CODEC.decode,
            time_of=lambda _: None,
            settings=RuntimeSettings(**FAST, in_flight=4),
            telemetry=self.telemetry,
            stop=self.stop,
        )
        thread = threading.Thread(target=running.run_forever)
        thread.start()
        try:
            until(lambda: self.broker.committed(GROUP) == self.broker.log(0).end, "a commit of everything")
        finally:
            self.stop.set()
            thread.join(30)

    def row(self, told: Change) -> dict[str, str]:
        assert told.after is not None
        item = self.table.get({KEY: {"S": f"{told.source.event_id}/{told.after['status']}"}}, consistent=True)
        assert item is not None
        return {name: next(iter(value.values())) for name, value in item.items()}

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(name, labels) or 0
