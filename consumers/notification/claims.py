"""Who may send a notification, and what is known of it: a row of the table ``notifications``. Pure, but for the clock.

    (none) ──claim──▶ claimed ──sent──▶ sent
                        │  ▲ └─certainly not sent──▶ free ──claim──▶ claimed
      lease is over,    │  └── resend: claimed anew
      outcome unknown:  └───── flag ──▶ flagged

    (none) ──a later message of its window says more──▶ coalesced

A row is claimed *before* the message is sent and marked *after*, each with a conditional write. So two processes never
send at the same time, and a crash between the two is seen: the claim stands, and its lease runs out.

A lease is measured by who waits for it: a row that a process has seen unchanged for the lease's time, by its own clock,
has no sender any more. So no clock of another host counts; ``leaseUntil`` is for people, and tells one claim from the
next.

Each claim has an id of its own. A write may take effect though its answer is lost; the next try finds the row claimed,
knows by the id that it is its own claim, and has no doubt to settle: nothing was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connectors.dynamodb import Item, Update
from consumers.notification.settings import AfterCrash
from consumers.notification.templates import Notification

KEY = "notificationId"


class State(StrEnum):
    """What a row says."""

    CLAIMED = "claimed"
    FREE = "free"
    SENT = "sent"
    FLAGGED = "flagged"
    COALESCED = "coalesced"


class Verdict(StrEnum):
    """What to do about a row that is there already."""

    DONE = "done"
    """Sent, flagged or coalesced: nothing."""
    WAIT = "wait"
    """Somebody may be sending it right now."""
    TAKE = "take"
    """Claim it anew and send."""
    FLAG = "flag"
    """Its outcome is unknown and stays so: mark it for a person."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a notification."""

    state: State
    lease_until_ms: int
    attempts: int
    claim_id: str = ""
    """Whose claim it is, while it is one."""

    @classmethod
    def of(cls, item: Item) -> Row:
        """A row from its item."""
        return cls(
            State(item["state"]["S"]),
            int(item["leaseUntil"]["N"]),
            int(item["attempts"]["N"]),
            item.get("claimId", {}).get("S", ""),
        )


def judge(row: Row, *, unchanged_ms: int, lease_ms: int, after_crash: AfterCrash) -> Verdict:
    """What to do about a row that is there, and that we have seen unchanged for so long."""
    if row.state in {State.SENT, State.FLAGGED, State.COALESCED}:
        return Verdict.DONE
    if row.state is State.FREE:
        return Verdict.TAKE
    if unchanged_ms < lease_ms:
        return Verdict.WAIT
    return Verdict.TAKE if after_crash == "resend" else Verdict.FLAG


def key_of(notification: Notification) -> Item:
    """The key of a notification's row."""
    return {KEY: {"S": notification.notification_id}}


def claim(notification: Notification, *, claim_id: str, now_ms: int, lease_ms: int) -> Update:
    """Claim what nobody knows of."""
    return Update(
        "SET #state = :claimed, leaseUntil = :until, attempts = :one, claimedAt = :now, claimId = :claim, "
        "orderId = :order, #status = :status",
        "attribute_not_exists(#state)",
        {"#state": "state", "#status": "status"},
        {
            ":claimed": {"S": State.CLAIMED},
            ":claim": {"S": claim_id},
            ":until": {"N": str(now_ms + lease_ms)},
            ":one": {"N": "1"},
            ":now": {"N": str(now_ms)},
            ":order": {"S": notification.order_id},
            ":status": {"S": notification.status},
        },
    )


def coalesce(notification: Notification, into: str, *, now_ms: int) -> Update:
    """Note that nobody is told, and which later message says more. Refused when anything is known of it already."""
    return Update(
        "SET #state = :coalesced, coalescedInto = :into, coalescedAt = :now, leaseUntil = :now, attempts = :none, "
        "orderId = :order, #status = :status",
        "attribute_not_exists(#state)",
        {"#state": "state", "#status": "status"},
        {
            ":coalesced": {"S": State.COALESCED},
            ":into": {"S": into},
            ":now": {"N": str(now_ms)},
            ":none": {"N": "0"},
            ":order": {"S": notification.order_id},
            ":status": {"S": notification.status},
        },
    )


def move(
    row: Row, to: State, *, now_ms: int, lease_ms: int = 0, message_id: str | None = None, claim_id: str | None = None
) -> Update:
    """From the row as it was seen to another state; refused when somebody else was faster."""
    values = {
        ":was": {"S": row.state},
        ":lease": {"N": str(row.lease_until_ms)},
        ":to": {"S": to},
        ":until": {"N": str(now_ms + lease_ms)},
        ":attempts": {"N": str(row.attempts + (to is State.CLAIMED))},
        ":now": {"N": str(now_ms)},
    }
    assignments = f"#state = :to, leaseUntil = :until, attempts = :attempts, {to}At = :now"
    if message_id is not None:
        values[":message"] = {"S": message_id}
        assignments += ", messageId = :message"
    if claim_id is not None:
        values[":claim"] = {"S": claim_id}
        assignments += ", claimId = :claim"
    return Update(f"SET {assignments}", "#state = :was AND leaseUntil = :lease", {"#state": "state"}, values)
