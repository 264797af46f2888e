"""Tells customers: claim, send, mark."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, Refused
from connectors.messaging import MaybeSentError, Messenger, open_messenger
from consumers.notification.claims import KEY, Row, State, Verdict, claim, coalesce, judge, key_of, move
from consumers.notification.coalesce import Hold, Into, Told, Window, decide, window_of
from consumers.notification.rate import SendRate
from consumers.notification.settings import NotificationSettings
from consumers.notification.templates import Notification, notification_of
from consumers.runtime.contracts import NotYetError, Record
from schemas.change import Change, Op
from schemas.errors import PoisonError, RetryableError
from schemas.headers import REPLAY, TYPE_PREFIX

MAX_CLAIMS = 10_000
"""Claims whose answer or end is awaited; at the bound all are forgotten, and each waits for a whole lease anew."""

MAX_WINDOWS = 10_000
"""Orders whose window is remembered; at the bound all are forgotten, and an order's next message opens a new one."""

_TYPE_OF_READ = f"{TYPE_PREFIX}{Op.READ}".encode()

_log = logging.getLogger(__name__)


class NotificationSink:
    """A record sink. Safe to call from several threads, for different orders.

    It takes changes from the live topic only. A replayed change (another topic, or the replay's header) and a row of a
    first load are passed over before they are decoded, and their op has no template: whoever wires this sink, and
    wherever from, cannot make it tell a customer about the past.
    """

    name = "notification"

    def __init__(
        self,
        live_topic: str,
        table: EffectTable,
        messenger: Messenger,
        settings: NotificationSettings,
        *,
        rate: SendRate,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        new_claim_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._live_topic = live_topic
        self._table = table
        self._messenger = messenger
        self._settings = settings
        self._rate = rate
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._new_claim_id = new_claim_id
        self._claiming: dict[str, str] = {}
        """Claims that were asked for and not answered yet, by notification: which of them is ours can be told."""
        self._waited_for: dict[str, tuple[Row, float]] = {}
        """Claims of others, and since when they were seen unchanged."""
        self._unmarked: dict[str, tuple[Row, str]] = {}
        """Sent, and not marked yet: at most one for each key that is in flight or parked."""
        self._windows: dict[str, Window] = {}
        """The open window of an order, when messages are coalesced."""
        self._outcomes = Counter(
            "feed_notifications_total", "what became of notifications", ["status", "outcome"], registry=registry
        )

    @classmethod
    def open(
        cls,
        live_topic: str,
        settings: NotificationSettings,
        aws: AwsClients,
        *,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
    ) -> NotificationSink:
        """The sink that settings describe, on the AWS services of its region.

        Raises:
            ConfigError: its table is not there, or has another key.
        """
        table = EffectTable(aws.client("dynamodb"), settings.table, calls=aws.dynamodb_calls())
        table.check(KEY)
        return cls(
            live_topic,
            table,
            open_messenger(settings.messenger, aws),
            settings,
            rate=SendRate(settings.rate_per_s, monotonic=time.monotonic, sleep=time.sleep),
            registry=registry,
            now_ms=now_ms,
        )

    def passes_over(self, record: Record) -> str | None:
        """Never a replay, never a first load."""
        if record.topic() != self._live_topic:
            return "replay"
        for name, value in record.headers() or ():
            if name == REPLAY:
                return "replay"
            if name == "ce_type" and value == _TYPE_OF_READ:
                return "first-load"
        return None

    def handle(self, change: Change) -> None:
        """Tell the customer, once as far as that can be known."""
        notification = notification_of(change, self._settings)
        if notification is not None:
            self._tell(notification)

    def _tell(self, notification: Notification) -> None:
        unmarked = self._unmarked.get(notification.notification_id)
        if unmarked is not None:
            self._mark(notification, *unmarked)
            return
        # before the claim: a message that waits long for its turn must not use up its lease
        wait_s = self._rate.wait()
        if wait_s:
            raise NotYetError(self._now_ms() + round(wait_s * 1000))
        row = self._claimed(notification)
        if row is not None:
            self._send(notification, row)

    def handle_before(self, change: Change, later: Callable[[], Sequence[Change]]) -> None:
        """Tell the customer, unless a later message of the same order, within the configured time, says more.

        See :class:`~consumers.runtime.contracts.ForesightedSink`.
        """
        notification = notification_of(change, self._settings)
        if notification is None:
            return
        within_ms = self._settings.coalesce_within_ms
        if within_ms and notification.notification_id not in self._unmarked:
            following = [told for told in map(self._told, later()) if told is not None]
            if self._coalesced(notification, change.captured_at_ms, following, within_ms):
                return
        self._tell(notification)

    def _told(self, change: Change) -> Told | None:
        """A later message; None for a change that tells nothing, or whose template cannot be filled."""
        try:
            notification = notification_of(change, self._settings)
        except PoisonError:
            return None
        return None if notification is None else Told(notification.notification_id, change.captured_at_ms)

    def _coalesced(self, notification: Notification, at_ms: int, following: Sequence[Told], within_ms: int) -> bool:
        """True when it is noted as coalesced; False when it is to be sent now.

        Raises:
            NotYetError: its window is still open.
        """
        now_ms, order_id = self._now_ms(), notification.order_id
        message = Told(notification.notification_id, at_ms)
        window = window_of(self._windows.get(order_id), message, within_ms=within_ms, now_ms=now_ms)
        if len(self._windows) >= MAX_WINDOWS:
            self._windows.clear()
        self._windows[order_id] = window
        match decide(following, window, within_ms=within_ms, now_ms=now_ms):
            case Into(into):
                update = coalesce(notification, into, now_ms=now_ms)
                if self._table.update_if(key_of(notification), update) is not None:
                    return False  # somebody has claimed it before: what became of that is looked at as ever
                self._count(notification, "coalesced")
                return True
            case Hold(until_ms):
                raise NotYetError(until_ms)
        return False

    def _claimed(self, notification: Notification) -> Row | None:
        """Our claim; None when there is nothing left to send."""
        name, now_ms, lease_ms = notification.notification_id, self._now_ms(), self._settings.lease_ms
        if len(self._claiming) >= MAX_CLAIMS:
            self._claiming.clear()
        claim_id = self._claiming.setdefault(name, self._new_claim_id())
        first = claim(notification, claim_id=claim_id, now_ms=now_ms, lease_ms=lease_ms)
        refused = self._table.update_if(key_of(notification), first, return_old=True)
        if refused is None:
            row = Row(State.CLAIMED, now_ms + lease_ms, 1, claim_id)
        else:
            row = self._found(notification, refused)
        ours = row.state is State.CLAIMED and row.claim_id == claim_id
        claimed = row if ours else self._settled(notification, row, claim_id)
        self._claiming.pop(name, None)  # from here on a claim with this id may have been sent
        return claimed

    def _found(self, notification: Notification, refused: Refused) -> Row:
        item = refused.item or self._table.get(key_of(notification), consistent=True)
        if item is None:
            raise RetryableError("the claim's row went away meanwhile", hint="does something delete rows?")
        return Row.of(item)

    def _settled(self, notification: Notification, row: Row, claim_id: str) -> Row | None:
        """What becomes of a row that is there and not ours: our claim, or None when nothing is left to send."""
        lease_ms = self._settings.lease_ms
        unchanged_ms = self._unchanged_ms(notification.notification_id, row)
        verdict = judge(row, unchanged_ms=unchanged_ms, lease_ms=lease_ms, after_crash=notification.after_crash)
        if verdict is Verdict.WAIT:
            raise RetryableError(
                f"{notification.notification_id} is claimed for {lease_ms - unchanged_ms} ms more",
                hint="its sender crashed or is slow; afterwards the template's policy decides",
            )
        self._waited_for.pop(notification.notification_id, None)
        match verdict:
            case Verdict.FLAG:
                self._flag(notification, row)
                return None
            case Verdict.TAKE:
                if row.state is State.CLAIMED:
                    self._count(notification, "resent")
                return self._move(notification, row, State.CLAIMED, lease_ms=lease_ms, claim_id=claim_id)
        self._count(notification, "seen")
        return None

    def _unchanged_ms(self, name: str, row: Row) -> int:
        """For how long this process has seen a row as it is, by its own clock."""
        seen, now_s = self._waited_for.get(name), self._monotonic()
        if seen is None or seen[0] != row:
            if len(self._waited_for) >= MAX_CLAIMS:
                self._waited_for.clear()
            seen = self._waited_for[name] = row, now_s
        return round((now_s - seen[1]) * 1000)

    def _send(self, notification: Notification, row: Row) -> None:
        try:
            message_id = self._messenger.send(notification.message)
        except MaybeSentError:
            if notification.after_crash == "flag":
                self._flag(notification, row)
                return
            self._move(notification, row, State.FREE)
            raise
        except (RetryableError, PoisonError):
            self._move(notification, row, State.FREE)
            raise
        self._count(notification, "sent")
        self._mark(notification, row, message_id)

    def _mark(self, notification: Notification, row: Row, message_id: str) -> None:
        """While the mark cannot be written this process remembers: its own retry does not send again."""
        self._unmarked[notification.notification_id] = (row, message_id)
        try:
            self._move(notification, row, State.SENT, message_id=message_id)
        except _TakenError:
            _log.warning("claim was taken over while sending id=%s", notification.notification_id)
        del self._unmarked[notification.notification_id]

    def _flag(self, notification: Notification, row: Row) -> None:
        self._move(notification, row, State.FLAGGED)
        self._count(notification, "flagged")
        _log.warning("unknown whether it was sent, flagged id=%s", notification.notification_id)

    def _move(
        self,
        notification: Notification,
        row: Row,
        to: State,
        *,
        lease_ms: int = 0,
        message_id: str | None = None,
        claim_id: str | None = None,
    ) -> Row:
        now_ms = self._now_ms()
        update = move(row, to, now_ms=now_ms, lease_ms=lease_ms, message_id=message_id, claim_id=claim_id)
        if self._table.update_if(key_of(notification), update) is not None:
            raise _TakenError(
                f"{notification.notification_id} was taken over by another process", hint="its row is looked at again"
            )
        attempts = row.attempts + (to is State.CLAIMED)
        return Row(to, now_ms + lease_ms, attempts, row.claim_id if claim_id is None else claim_id)

    def _count(self, notification: Notification, outcome: str) -> None:
        self._outcomes.labels(notification.status, outcome).inc()


class _TakenError(RetryableError):
    """The row is not as it was seen."""
