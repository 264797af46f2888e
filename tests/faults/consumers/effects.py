"""What the members of a group leave behind, and what must be true of it: record sinks, and what all kinds share."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from consumers.notification import KEY as NOTIFICATION_KEY
from consumers.warehouse import KEY as PICK_KEY
from feed.testing import aws_settings, unique_name
from schemas.change import Change
from tests.faults.consumers.orders_topic import OrdersTopic

SAMPLE = 20
"""Committed records whose effect is looked at after a fault."""

POLICIES = {"paid": "resend", "shipped": "flag", "delivered": "resend"}
"""What customers are told, and what a doubt means for it."""


class Effects(Protocol):
    """The effects of one group."""

    sink: str

    def told(self) -> dict[str, Any]:
        """What a member must know to make its sink."""
        ...

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """What is committed is durable: a sample, or as far as the store says."""
        ...

    def check_all(self, topic: OrdersTopic) -> str:
        """Everything written has had its effect, once and in order. Returns what was found, in words."""
        ...

    def close(self) -> None:
        """Free what belongs to it."""
        ...


def sample(topic: OrdersTopic, committed: Mapping[int, int]) -> list[Change]:
    """Changes that lie before what is committed."""
    known = [place for place in list(topic.at) if place[1] < committed[place[0]]]
    return [topic.at[place] for place in random.sample(known, min(SAMPLE, len(known)))]


class Picks:
    """The warehouse's table."""

    sink = "warehouse"

    def __init__(self, dynamodb_endpoint: str) -> None:
        self.endpoint = dynamodb_endpoint
        dynamodb = AwsClients(aws_settings(dynamodb_endpoint)).client("dynamodb")
        self.table = EffectTable(dynamodb, unique_name("picks"))
        create_effect_table(dynamodb, self.table.name, PICK_KEY)

    def told(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "table": self.table.name}

    def close(self) -> None:
        """Its server goes with the session."""

    def pick(self, order_id: str) -> dict[str, Any]:
        item = self.table.get({PICK_KEY: {"S": order_id}}, consistent=True)
        assert item is not None, f"{order_id} has no pick"
        return {name: next(iter(value.values())) for name, value in item.items()}

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """The pick shows the change, or a later one."""
        for change in sample(topic, committed):
            assert self.pick(change.key["orderId"]["S"])["version"] >= change.version.to_text(), change

    def check_all(self, topic: OrdersTopic) -> str:
        """Each order's every change was acted on, in order, once, and its pick was started by its first."""
        for order_id, changes in topic.written.items():
            pick = self.pick(order_id)
            seen = [entry["S"] for entry in pick["seen"]]
            expected = [f"{n}:{c.after['status']}" for n, c in enumerate(changes, 1) if c.after is not None]
            assert seen == expected, order_id
            assert int(pick["changes"]) == len(changes)
            assert pick["startedBy"] == changes[0].source.event_id
        return f"{len(topic.written)} picks: none missing, no change twice, none out of order"


class _Receiver(BaseHTTPRequestHandler):
    """Takes messages and remembers them."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender was killed in the middle: nothing was sent
            self.close_connection = True
            return
        message = json.loads(body)
        cast("_Outbox", self.server).take(message["attributes"]["orderId"], message["attributes"]["status"])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Outbox(ThreadingHTTPServer):
    """A provider of messages: what it has taken, order by order, in the order of arrival."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self._lock = threading.Lock()
        self.told: dict[str, list[str]] = defaultdict(list)

    def take(self, order_id: str, status: str) -> None:
        with self._lock:
            self.told[order_id].append(status)


class Notifications:
    """The table of what was sent, and the provider that took it."""

    sink = "notification"

    def __init__(self, dynamodb_endpoint: str) -> None:
        self.endpoint = dynamodb_endpoint
        dynamodb = AwsClients(aws_settings(dynamodb_endpoint)).client("dynamodb")
        self.table = EffectTable(dynamodb, unique_name("notifications"))
        create_effect_table(dynamodb, self.table.name, NOTIFICATION_KEY)
        self._outbox = _Outbox()
        self._thread = threading.Thread(target=self._outbox.serve_forever, daemon=True)
        self._thread.start()

    def told(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._outbox.server_address[1]}/"
        template = {"subject": "s", "text": "t"}
        settings = {
            "messenger": {"kind": "webhook", "url": url, "secret": "s"},
            "table": self.table.name,
            "lease_ms": 4_000,
            "rate_per_s": 1_000,
            "templates": {status: template | {"after_crash": policy} for status, policy in POLICIES.items()},
        }
        return {"endpoint": self.endpoint, "notification": settings}

    def close(self) -> None:
        self._outbox.shutdown()
        self._thread.join()
        self._outbox.server_close()

    def state(self, change: Change) -> str:
        """What the row of a change's message says."""
        assert change.after is not None
        key = f"{change.source.event_id}/{change.after['status']}"
        item = self.table.get({NOTIFICATION_KEY: {"S": key}}, consistent=True)
        assert item is not None, f"nobody knows of {key}"
        return str(item["state"]["S"])

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """A change that is told has a row whose outcome is settled."""
        for change in sample(topic, committed):
            if change.after is not None and change.after["status"] in POLICIES:
                assert self.state(change) in {"sent", "flagged"}, change

    def check_all(self, topic: OrdersTopic) -> str:
        """Each message by its policy: ``resend`` at least once, ``flag`` at most once; in the order's order."""
        messages, repeated, flagged = 0, 0, 0
        for order_id, changes in topic.written.items():
            arrived = self._outbox.told[order_id]
            certain: list[str] = []
            for change in changes:
                status = change.after["status"] if change.after is not None else ""
                if status not in POLICIES:
                    continue
                messages += 1
                state, times = self.state(change), arrived.count(status)
                flagged += state == "flagged"
                repeated += max(0, times - 1)
                if POLICIES[status] == "resend":
                    assert (state, times >= 1) == ("sent", True), f"{order_id} {status}: {state}, told {times} times"
                else:
                    assert times <= 1, f"{order_id} {status} told {times} times"
                    assert times == 1 or state == "flagged", f"{order_id} {status} was told to nobody"
                if state == "sent":
                    certain.append(status)
            first = [status for status in dict.fromkeys(arrived) if status in certain]
            assert first == certain, f"{order_id} was told {arrived}"
        return (
            f"{messages} messages: none missing by the policy; {repeated} told again by `resend`, "
            f"{flagged} flagged by `flag`; in order for each order"
        )
