"""A lane writes its plan to the table, one write after another, and puts into the ledger what the table says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from feed.workload.digest import ABSENT, digest_of_canonical
from feed.workload.ledger import Entry, Outcome
from feed.workload.plan import Step
from schemas.change import Op
from schemas.errors import FatalError, RetryableError

RETRY_PAUSE_MS: Final = 100
"""Between two looks at an item whose last write has an unknown outcome."""

_CONFLICT: Final = "ConditionalCheckFailedException"
_BUSY: Final = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")


class Caller(Protocol):
    """What a lane needs of a connection (:class:`feed.workload.wire.TableConnection`)."""

    def call(self, target: str, body: bytes) -> tuple[int, bytes]:
        """One request; RetryableError when its outcome is unknown."""
        ...


@dataclass(slots=True)
class LaneReport:
    """What a lane did; read by another thread, so only appended to and counted up."""

    writes: int = 0
    read_backs: int = 0
    lateness_ms: list[float] = field(default_factory=list)
    """How long after its due time each write began."""
    call_ms: list[float] = field(default_factory=list)
    """How long each write took."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, passed in: ``now_ms`` since the epoch (with fractions), ``sleep_ms``, and whether to go on."""

    now_ms: Callable[[], float]
    sleep_ms: Callable[[float], None]
    stopping: Callable[[], bool]


class Lane:
    """Writes the steps of one lane when they are due; late ones at once, so that the plan is caught up with."""

    def __init__(
        self, caller: Caller, table: str, record: Callable[[Entry], None], clock: Clock, *, settle_timeout_ms: int
    ) -> None:
        self.report = LaneReport()
        self._caller, self._table, self._record, self._clock = caller, table, record, clock
        self._settle_timeout_ms = settle_timeout_ms
        self._times: dict[str, tuple[int, int]] = {}
        """createdAt and the last updatedAt of the orders that live."""
        self._numbers: dict[str, int] = {}
        """The revision that stands in the table, of the orders that live."""

    def run(self, steps: Iterable[Step], start_ms: float) -> None:
        """Write all steps, or up to the one at which the clock says to stop.

        Raises:
            FatalError: the table refused a write for good, or its outcome could not be known within the bound.
        """
        for step in steps:
            wait_ms = start_ms + step.due_ms - self._clock.now_ms()
            if wait_ms > 0:
                self._clock.sleep_ms(wait_ms)
            if self._clock.stopping():
                return
            self._write(step, start_ms + step.due_ms)

    def _write(self, step: Step, due_ms: float) -> None:
        called_ms = self._clock.now_ms()
        target, body, digest = self._request(step, int(called_ms))
        outcome = self._settle(step, target, body)
        done_ms = self._clock.now_ms()
        self._record(
            Entry(
                step.order,
                step.number,
                step.op,
                step.status,
                digest,
                int(called_ms),
                int(done_ms),
                outcome,
                step.burst,
            )
        )
        report = self.report
        report.writes += 1
        report.lateness_ms.append(called_ms - due_ms)
        report.call_ms.append(done_ms - called_ms)
        if outcome is Outcome.UNKNOWN:
            raise FatalError(
                f"the outcome of write {step.number} of {step.order} is not known after {self._settle_timeout_ms} ms",
                hint="is the table reachable? the ledger says 'unknown' for this write",
            )
        if step.last or step.op is Op.DELETE:
            self._times.pop(step.order, None)
            self._numbers.pop(step.order, None)
        else:
            self._numbers[step.order] = step.number

    def _settle(self, step: Step, target: str, body: bytes) -> Outcome:
        """Write until it stands. Repeating is safe: the condition lets one write through, whichever comes first."""
        deadline_ms = self._clock.now_ms() + self._settle_timeout_ms
        doubtful = False
        while True:
            try:
                status, answer = self._caller.call(target, body)
            except RetryableError:
                status, answer = 0, b""
            if status == 200:
                return Outcome.READ_BACK if doubtful else Outcome.ACKNOWLEDGED
            if _may_stand(status, answer, step, doubtful=doubtful):
                doubtful = True
                if self._stands(step):
                    return Outcome.READ_BACK
            if self._clock.now_ms() > deadline_ms:
                return Outcome.UNKNOWN
            self._clock.sleep_ms(RETRY_PAUSE_MS)

    def _stands(self, step: Step) -> bool:
        """Read the item back, consistently: does it show the write?"""
        self.report.read_backs += 1
        body = orjson.dumps({"TableName": self._table, "Key": _key(step.order), "ConsistentRead": True})
        try:
            status, answer = self._caller.call("GetItem", body)
        except RetryableError:
            return False
        if status != 200:
            return False
        item = orjson.loads(answer).get("Item")
        if step.op is Op.DELETE:
            return item is None
        return item is not None and int(item["revision"]["N"]) == step.number

    def _request(self, step: Step, now_ms: int) -> tuple[str, bytes, int]:
        """The call, its body, and the digest of the item that it leaves behind."""
        standing = self._numbers.get(step.order)
        if standing is None:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(orderId)"}
        else:
            condition = {
                "ConditionExpression": "revision = :standing",
                "ExpressionAttributeValues": {":standing": {"N": str(standing)}},
            }
        if step.op is Op.DELETE:
            return (
                "DeleteItem",
                orjson.dumps({"TableName": self._table, "Key": _key(step.order), **condition}),
                ABSENT,
            )
        created_ms, updated_ms = self._times.get(step.order, (now_ms, now_ms))
        if step.op is not None:
            updated_ms = now_ms
        self._times[step.order] = (created_ms, updated_ms)
        item = {**step.item, "createdAt": {"N": str(created_ms)}, "updatedAt": {"N": str(updated_ms)}}
        canonical = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        body = orjson.dumps({"TableName": self._table, "Item": orjson.Fragment(canonical), **condition})
        return "PutItem", body, digest_of_canonical(canonical)


def _key(order: str) -> dict[str, Any]:
    return {"orderId": {"S": order}}


def _may_stand(status: int, answer: bytes, step: Step, *, doubtful: bool) -> bool:
    """Could the write stand although the answer was no? False: it was throttled, so it surely does not.

    Raises:
        FatalError: the table refuses it for good.
    """
    if status in {0, 500, 502, 503, 504}:
        return True
    text = answer.decode(errors="replace")
    if any(code in text for code in _BUSY):
        return False
    if _CONFLICT in text and doubtful:
        return True
    raise FatalError(
        f"the table refused write {step.number} of {step.order} with status {status}: {text[:300]}",
        hint="does the table exist, with key orderId, and does nothing else write to the workload's orders?",
    )
