"""Claim, send, mark: what is sent when anything between them fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, Item, Refused, Update, create_effect_table
from connectors.messaging import MaybeSentError, Message
from consumers.notification import KEY, NotificationSettings, NotificationSink, SendRate
from consumers.runtime.contracts import NotYetError
from consumers.runtime.memory import MemoryRecord
from schemas.change import Change, Op
from schemas.errors import PoisonError, RetryableError
from schemas.headers import headers_of
from tests.unit.order_changes import change, life, order

PAID = life("created", "paid")[-1]


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Outbox:
    """A messenger that remembers, and fails as it is told; ``late`` fails after the message has gone out."""

    sent: list[Message] = field(default_factory=list)
    failing: BaseException | None = None
    late: BaseException | None = None

    def send(self, message: Message) -> str:
        if self.failing is not None:
            raise self.failing
        self.sent.append(message)
        if self.late is not None:
            raise self.late
        return f"m-{len(self.sent)}"


class Store(EffectTable):
    """A table that can be away."""

    failing: list[Exception | None]
    unanswered: list[bool]
    """Which of the next writes take effect and are not answered."""

    def update_if(self, key: Item, update: Update, *, return_old: bool = False) -> Refused | None:
        if self.failing and (error := self.failing.pop(0)) is not None:
            raise error
        refused = super().update_if(key, update, return_old=return_old)
        if self.unanswered and self.unanswered.pop(0):
            raise RetryableError("no answer", hint="")
        return refused


class Shop:
    """A sink, what it writes to, and a clock."""

    def __init__(self, client: Any, after_crash: str) -> None:
        self.now_ms = 1_000_000
        self.ahead_ms = 0
        """By how much the wall clock of who writes is ahead."""
        self.outbox = Outbox()
        self.store = Store(client, "notifications")
        self.store.failing = []
        self.store.unanswered = []
        template = {"subject": "s", "text": "t", "after_crash": after_crash}
        self.settings = NotificationSettings.model_validate(
            {
                "messenger": {"kind": "ses", "sender": "shop@example.org"},
                "templates": {"paid": template, "shipped": template},
                "lease_ms": 30_000,
            }
        )
        self.registry = CollectorRegistry()
        self.sink = self.another()

    def another(self) -> NotificationSink:
        """A process that starts afresh."""
        self.registry = CollectorRegistry()
        rate = SendRate(1_000_000, monotonic=lambda: 0.0, sleep=lambda _: None)
        return NotificationSink(
            "orders",
            self.store,
            self.outbox,
            self.settings,
            rate=rate,
            registry=self.registry,
            now_ms=lambda: self.now_ms + self.ahead_ms,
            monotonic=lambda: self.now_ms / 1000,
        )

    def row(self) -> dict[str, Any]:
        item = self.store.get({KEY: {"S": f"{PAID.source.event_id}/paid"}}, consistent=True)
        assert item is not None
        return {name: next(iter(value.values())) for name, value in item.items()}

    def count(self, outcome: str) -> float:
        labels = {"status": "paid", "outcome": outcome}
        return self.registry.get_sample_value("feed_notifications_total", labels) or 0


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        create_effect_table(made, "notifications", KEY)
        yield made


@pytest.fixture(params=["resend", "flag"])
def shop(client: Any, request: pytest.FixtureRequest) -> Shop:
    return Shop(client, request.param)


@pytest.fixture
def resending(client: Any) -> Shop:
    return Shop(client, "resend")


@pytest.fixture
def flagging(client: Any) -> Shop:
    return Shop(client, "flag")


def test_sent_once_however_often_it_is_read(shop: Shop) -> None:
    """The same change again, here and in another process, sends nothing more."""
    shop.sink.handle(PAID)
    shop.sink.handle(PAID)
    shop.another().handle(PAID)
    assert len(shop.outbox.sent) == 1
    row = shop.row()
    assert (row["state"], row["messageId"], row["attempts"], row["orderId"]) == ("sent", "m-1", "1", "o-1")


def test_refused_for_now_is_tried_again(shop: Shop) -> None:
    """A message that certainly did not go out is free to be sent at once, whatever the policy."""
    shop.outbox.failing = RetryableError("throttled", hint="")
    with pytest.raises(RetryableError):
        shop.sink.handle(PAID)
    assert shop.row()["state"] == "free"
    shop.outbox.failing = None
    shop.sink.handle(PAID)
    assert len(shop.outbox.sent) == 1
    assert shop.row()["attempts"] == "2"


def test_refused_for_good_is_poison(shop: Shop) -> None:
    """A message that the provider will never take goes to the dead letters and can be retried from there."""
    shop.outbox.failing = PoisonError("no such mailbox", hint="")
    with pytest.raises(PoisonError):
        shop.sink.handle(PAID)
    shop.outbox.failing = None
    shop.sink.handle(PAID)
    assert len(shop.outbox.sent) == 1


def test_a_crash_before_sending_waits_for_the_lease(resending: Shop) -> None:
    """Killed between claim and send: another process waits until the lease is over, then sends."""
    resending.outbox.failing = Crash()
    with pytest.raises(Crash):
        resending.sink.handle(PAID)
    resending.outbox.failing = None
    other = resending.another()
    with pytest.raises(RetryableError, match="is claimed for 30000 ms more"):
        other.handle(PAID)
    resending.now_ms += 30_001
    other.handle(PAID)
    assert len(resending.outbox.sent) == 1
    assert resending.count("resent") == 1


def test_a_crash_after_sending_resends_by_policy(resending: Shop) -> None:
    """Killed between send and mark with ``resend``: the customer is told twice, and that is counted."""
    resending.outbox.late = Crash()
    with pytest.raises(Crash):
        resending.sink.handle(PAID)
    resending.outbox.late = None
    told_after_a_lease(resending, resending.another())
    assert len(resending.outbox.sent) == 2
    assert resending.row()["state"] == "sent"


def test_a_crash_after_sending_flags_by_policy(flagging: Shop) -> None:
    """Killed between send and mark with ``flag``: never told twice; the row waits for a person."""
    flagging.outbox.late = Crash()
    with pytest.raises(Crash):
        flagging.sink.handle(PAID)
    flagging.outbox.late = None
    other = flagging.another()
    told_after_a_lease(flagging, other)
    other.handle(PAID)
    assert len(flagging.outbox.sent) == 1
    assert flagging.row()["state"] == "flagged"
    assert flagging.count("flagged") == 1


def test_no_answer_follows_the_policy_at_once(shop: Shop) -> None:
    """A time-out while sending is the same doubt as a crash, without waiting for a lease."""
    shop.outbox.late = MaybeSentError("timed out", hint="")
    policy = shop.settings.templates["paid"].after_crash
    if policy == "resend":
        with pytest.raises(MaybeSentError):
            shop.sink.handle(PAID)
        shop.outbox.late = None
        shop.sink.handle(PAID)
    else:
        shop.sink.handle(PAID)
        shop.sink.handle(PAID)
    assert len(shop.outbox.sent) == (2 if policy == "resend" else 1)
    assert shop.row()["state"] == ("sent" if policy == "resend" else "flagged")


def test_a_mark_that_fails_does_not_send_again(shop: Shop) -> None:
    """While the store is away after a send, the process remembers and only writes its mark later."""
    shop.store.failing = [None, RetryableError("away", hint="")]
    with pytest.raises(RetryableError):
        shop.sink.handle(PAID)
    shop.sink.handle(PAID)
    assert len(shop.outbox.sent) == 1
    assert shop.row()["state"] == "sent"


def test_a_slow_sender_that_was_taken_over_does_not_overwrite(resending: Shop) -> None:
    """A process that sends past its lease finds its claim taken: it leaves the other's row alone."""
    other = resending.another()
    send = resending.outbox.send

    def slow(message: Message) -> str:
        resending.outbox.send = send  # type: ignore[method-assign]
        told_after_a_lease(resending, other)
        return send(message)

    resending.outbox.send = slow  # type: ignore[method-assign]
    resending.sink.handle(PAID)
    assert resending.row()["messageId"] == "m-1"
    assert resending.row()["attempts"] == "2"


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
def test_a_sender_whose_clock_is_an_hour_off(resending: Shop, ahead_ms: int) -> None:
    """It crashes, ahead of us or behind: its claim is waited for as long as any, by our own clock, then told, once."""
    resending.ahead_ms = ahead_ms
    resending.outbox.failing = Crash()
    with pytest.raises(Crash):
        resending.sink.handle(PAID)
    resending.outbox.failing = None
    resending.ahead_ms = 0
    other = resending.another()
    told_after_a_lease(resending, other)
    other.handle(PAID)
    assert len(resending.outbox.sent) == 1


def test_a_claim_that_changes_hands_is_waited_for_anew(resending: Shop) -> None:
    """A lease counts from when its claim was first seen: a claim of somebody else in between has a lease of its own."""
    resending.outbox.failing = Crash()
    other, third = resending.another(), resending.another()
    with pytest.raises(Crash):
        resending.sink.handle(PAID)
    for waiting in (other, third):
        with pytest.raises(RetryableError, match="is claimed"):
            waiting.handle(PAID)
    resending.now_ms += 30_000
    with pytest.raises(Crash):
        other.handle(PAID)
    with pytest.raises(RetryableError, match="is claimed for 30000 ms more"):
        third.handle(PAID)
    assert resending.outbox.sent == []


def test_a_claim_whose_answer_is_lost_is_known_as_ours(shop: Shop) -> None:
    """The claim took effect and nobody heard of it: the next try sends at once, whatever the policy, and once."""
    shop.store.unanswered = [True]
    with pytest.raises(RetryableError, match="no answer"):
        shop.sink.handle(PAID)
    assert shop.row()["state"] == "claimed"
    shop.sink.handle(PAID)
    assert len(shop.outbox.sent) == 1
    assert shop.row()["state"] == "sent"
    assert (shop.count("resent"), shop.count("flagged")) == (0, 0)


def test_a_takeover_whose_answer_is_lost_is_known_as_ours(resending: Shop) -> None:
    """The same of a claim that was taken over after a crash."""
    resending.outbox.failing = Crash()
    with pytest.raises(Crash):
        resending.sink.handle(PAID)
    resending.outbox.failing = None
    other = resending.another()
    resending.store.unanswered = [False, False, True]
    with pytest.raises(RetryableError, match="no answer"):
        told_after_a_lease(resending, other)
    other.handle(PAID)
    assert len(resending.outbox.sent) == 1


def test_a_doubt_is_not_taken_for_a_lost_answer(flagging: Shop) -> None:
    """Sent or not, nobody knows, and the store is away: the claim is ours, but its policy decides, after the lease."""
    flagging.outbox.late = MaybeSentError("timed out", hint="")
    flagging.store.failing = [None, RetryableError("away", hint="")]
    with pytest.raises(RetryableError, match="away"):
        flagging.sink.handle(PAID)
    flagging.outbox.late = None
    told_after_a_lease(flagging, flagging.sink)
    assert len(flagging.outbox.sent) == 1
    assert flagging.row()["state"] == "flagged"


def told_after_a_lease(shop: Shop, sink: NotificationSink) -> None:
    """A process meets another one's claim, waits for it, and settles it."""
    with pytest.raises(RetryableError, match="is claimed for 30000 ms more"):
        sink.handle(PAID)
    shop.now_ms += 30_000
    sink.handle(PAID)


def record(topic: str, told: Change, *more: tuple[str, bytes]) -> MemoryRecord:
    return MemoryRecord(topic, 0, 0, b"o-1", b"value", (*headers_of(told), *more))


def test_the_past_is_passed_over_by_construction(resending: Shop) -> None:
    """A replay by header, a replay by topic, and a first load are never even decoded, whoever wires the sink."""
    passes_over = resending.sink.passes_over
    assert passes_over(record("orders", PAID)) is None
    assert passes_over(record("orders", PAID, ("ce_replay", b"r-1"))) == "replay"
    assert passes_over(record("orders.replay.orders.notification", PAID)) == "replay"
    assert passes_over(record("orders", change(Op.READ, None, order("paid", 1), sequence=0))) == "first-load"
    assert passes_over(MemoryRecord("orders", 0, 0, b"o-1", b"value")) is None


def test_a_replay_that_loses_its_header_still_tells_nobody_twice(shop: Shop) -> None:
    """Even where nothing marks a repeat, the event's own identity does: its row says sent."""
    shop.sink.handle(PAID)
    shop.another().handle(PAID)
    assert len(shop.outbox.sent) == 1


def test_rate_spaces_messages_and_tells_when_to_ask_again() -> None:
    """Messages are spaced by the rate; one that would wait over a second takes nothing from it, and comes back."""
    now, slept = [0.0], []
    rate = SendRate(2, monotonic=lambda: now[0], sleep=slept.append)
    for _ in range(3):
        assert rate.wait() == 0
    assert slept == [0.5, 1.0]
    for _ in range(5):
        assert rate.wait() == 0.5
    now[0] = 0.5
    assert rate.wait() == 0
    assert slept == [0.5, 1.0, 1.0]


def test_waiting_for_its_turn_is_no_failure(shop: Shop) -> None:
    """A message beyond the provider's rate comes at its time: no retry is counted, so no outage is seen in it."""
    rate = SendRate(0.1, monotonic=lambda: 0.0, sleep=lambda _: None)
    shop.sink._rate = rate
    assert rate.wait() == 0
    with pytest.raises(NotYetError) as early:
        shop.sink.handle(PAID)
    assert early.value.due_ms == shop.now_ms + 9_000
    assert shop.outbox.sent == []
