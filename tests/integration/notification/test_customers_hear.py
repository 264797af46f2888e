"""Notifications end to end: records of a topic, claims in DynamoDB, e-mails on a stand-in for SES."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.messaging import open_messenger
from connectors.telemetry import Telemetry
from consumers.notification import KEY, NotificationSettings, NotificationSink, SendRate
from consumers.runtime import MemoryBroker, RuntimeSettings, consumer, time_of
from feed.testing import aws_settings, unique_name, until
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import FAST
from tests.unit.order_changes import life

pytestmark = pytest.mark.integration

CODEC = ChangeCodec.for_image(load("order"))


def put(broker: MemoryBroker, change: Change, *more: tuple[str, bytes]) -> None:
    key = change.key["orderId"]["S"]
    broker.put(key.encode(), CODEC.encode(change), partition=len(key) % 2, headers=[*headers_of(change), *more])


def test_each_status_once_in_order_and_never_a_replay(dynamodb_local, ministack) -> None:
    """Twenty orders live; each configured status is mailed once, in the order's order; a replay mails nothing."""
    dynamodb = AwsClients(aws_settings(dynamodb_local.endpoint)).client("dynamodb")
    mail = AwsClients(aws_settings(ministack.endpoint, "sesv2"))
    name, sender = unique_name("notifications"), f"{unique_name('shop')}@example.org"
    create_effect_table(dynamodb, name, KEY)
    mail.client("sesv2").create_email_identity(EmailIdentity=sender)
    settings = NotificationSettings.model_validate(
        {"messenger": {"kind": "ses", "sender": sender}, "table": name, "rate_per_s": 10_000}
    )
    telemetry, stop = Telemetry("test"), threading.Event()
    sink = NotificationSink(
        "orders",
        EffectTable(dynamodb, name),
        open_messenger(settings.messenger, mail),
        settings,
        rate=SendRate(settings.rate_per_s, monotonic=time.monotonic, sleep=time.sleep),
        registry=telemetry.registry,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    broker = MemoryBroker("orders", 2)
    lives = [life("created", "paid", "packed", "shipped", order_id=f"o-{n}", base=1_000 * n) for n in range(20)]
    for step in range(4):
        for changes in lives:
            put(broker, changes[step])
    for changes in lives:
        for change in changes:
            put(broker, change, ("ce_replay", b"again"))
    running = consumer(
        sink,
        topic="orders",
        group="orders.notification",
        broker=broker,
        decode=CODEC.decode,
        time_of=time_of("updatedAt"),
        settings=RuntimeSettings(**FAST, in_flight=8),
        telemetry=telemetry,
        stop=stop,
    )
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    try:
        until(
            lambda: all(
                broker.committed("orders.notification", p) == broker.log(p).end and broker.log(p).end for p in (0, 1)
            ),
            "a commit of everything",
        )
    finally:
        stop.set()
        thread.join(30)
    accounts = httpx.get(f"{ministack.endpoint}/_ministack/ses/messages").json()["messages"]
    told = [mail for account in accounts.values() for mail in account if mail["Source"] == sender]
    assert len(told) == 40
    for n in range(20):
        of_one = [mail["Subject"] for mail in told if mail["Subject"].split("o-")[1].split()[0] == str(n)]
        assert of_one == [f"We have your payment for order o-{n}", f"Your order o-{n} is on its way"]
    passed = telemetry.registry.get_sample_value(
        "feed_consumer_passed_over_total", {"sink": "notification", "reason": "replay"}
    )
    assert passed == 80
