"""The warehouse: acts on each change with one conditional write."""

from __future__ import annotations

import json
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, Refused
from connectors.messaging import Message, Messenger, open_messenger
from consumers.warehouse.picks import KEY, Pick, PickStatus, key_of, pick_of, update_of
from consumers.warehouse.replica import Replica
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sweep import Sweep
from schemas.change import Change
from schemas.marker import SnapshotMarker
from schemas.version import end_of_epoch_before


class WarehouseSink:
    """A record sink. Safe to call from several threads, for different orders.

    Idempotent by (order, version): the write's condition holds only for a version above the stored one, so a repeated
    or older change does nothing and counts as ``seen``.
    """

    name = "warehouse"

    def __init__(
        self,
        table: EffectTable,
        settings: WarehouseSettings,
        *,
        registry: CollectorRegistry,
        now_ms: Callable[[], int],
        replica: Replica | None = None,
        queue: Messenger | None = None,
    ) -> None:
        self._table = table
        self._settings = settings
        self._now_ms = now_ms
        self._replica = replica
        self._queue = queue
        acted = Counter(
            "feed_warehouse_changes_total", "changes acted on, or seen before", ["outcome"], registry=registry
        )
        self._sweeps: dict[SnapshotMarker, Sweep] = {}
        """The sweeps under way: at most one for each assigned partition."""
        self._swept = Counter(
            "feed_warehouse_swept_total", "picks cancelled at the end of a snapshot", registry=registry
        )
        self._acted = acted.labels("acted")
        self._seen = acted.labels("seen")

    @classmethod
    def open(
        cls, settings: WarehouseSettings, aws: AwsClients, *, registry: CollectorRegistry, now_ms: Callable[[], int]
    ) -> WarehouseSink:
        """The sink that settings describe, on the AWS services of its region.

        Raises:
            ConfigError: its table is not there, or has another key.
        """
        dynamodb = aws.client("dynamodb")
        replica = None
        if settings.look_up is not None:
            replica = Replica(
                EffectTable(dynamodb, settings.look_up.table, calls=aws.dynamodb_calls()),
                settings.look_up,
                registry=registry,
                now_ms=now_ms,
            )
        queue = None if settings.hand_over is None else open_messenger(settings.hand_over, aws)
        table = EffectTable(dynamodb, settings.table, calls=aws.dynamodb_calls())
        table.check(KEY)
        return cls(table, settings, registry=registry, now_ms=now_ms, replica=replica, queue=queue)

    def handle(self, change: Change) -> None:
        """Start, update, cancel or close the order's pick.

        Raises:
            NotYetError: the replica is behind, and is waited for.
        """
        pick = pick_of(change, self._settings)
        update = update_of(
            pick,
            change,
            now_ms=self._now_ms(),
            keep_history=self._settings.keep_history,
            details=None if self._replica is None else self._replica.details(change),
        )
        refused = self._table.update_if(key_of(pick), update, return_old=self._queue is not None)
        if self._queue is not None and (refused is None or _is_repeat(refused, change)):
            # after the write: an older change is never handed over; a crash in between shows as a repeat
            self._queue.send(hand_over_of(pick, change))
        (self._acted if refused is None else self._seen).inc()

    def snapshot_complete(self, marker: SnapshotMarker) -> bool:
        """Cancel the picks of the partition's orders that the snapshot did not see, a page of picks at a time."""
        sweep = self._sweeps.setdefault(marker, Sweep(self._table, marker))
        done = sweep.step(self._now_ms(), lambda order: self._cancelled(order, marker))
        if done:
            del self._sweeps[marker]
        return done

    def _cancelled(self, order: str, marker: SnapshotMarker) -> None:
        self._swept.inc()
        if self._queue is not None:
            self._queue.send(swept_message(order, marker))


def swept_message(order: str, marker: SnapshotMarker) -> Message:
    """The message about a pick that the end of a snapshot cancelled."""
    version = end_of_epoch_before(marker.epoch).to_text()
    pick = Pick(order, PickStatus.CANCELLED, None, deleted=True, number=None, begins=False)
    return _message(pick, version, f"{marker.event_id}:{order}")


def hand_over_of(pick: Pick, change: Change) -> Message:
    """The message about a pick: in order for its order, dropped by the queue when it comes again."""
    return _message(pick, change.version.to_text(), change.source.event_id)


def _message(pick: Pick, version: str, event_id: str) -> Message:
    facts = {
        "orderId": pick.order_id,
        "pickStatus": pick.status.value,
        "orderStatus": pick.order_status,
        "deleted": pick.deleted,
        "version": version,
        "eventId": event_id,
    }
    return Message(
        recipient="",
        subject="pick",
        text=json.dumps(facts, ensure_ascii=False),
        html=None,
        dedupe_id=event_id,
        group_id=pick.order_id,
        attributes={"eventId": event_id, "pickStatus": pick.status.value},
    )


def _is_repeat(refused: Refused, change: Change) -> bool:
    """True when the very same change stands in the pick: it may not have been handed over yet."""
    stored = (refused.item or {}).get("version", {}).get("S")
    return bool(stored == change.version.to_text())
