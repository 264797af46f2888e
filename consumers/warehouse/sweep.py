"""What a complete snapshot leaves to do: picks of orders that the scan did not see. One page of the table a call.

An order of the marker's partition whose pick still has a version of a former epoch was deleted while changes were
missing: its pick is cancelled. The write has a version below every row of the epoch, and is conditional like all
others, so it meets changes that are handled meanwhile without harm.
"""

from __future__ import annotations

from collections.abc import Callable

from connectors.dynamodb import EffectTable, Item, Update
from consumers.warehouse.picks import KEY, PickStatus
from schemas.marker import SnapshotMarker
from schemas.partitioner import partition_of_key
from schemas.version import Version, end_of_epoch_before

PAGE_ITEMS = 500
"""Picks that one call looks at."""

Cancelled = Callable[[str], None]
"""Called with the order of each pick that was cancelled."""


class Sweep:
    """The sweep of one partition for one snapshot. It remembers where it is; a crash begins it anew, without harm."""

    def __init__(self, table: EffectTable, marker: SnapshotMarker) -> None:
        self._table, self._marker = table, marker
        self._after: Item | None = None

    def step(self, now_ms: int, cancelled: Cancelled) -> bool:
        """Look at one page; True when it was the last. Errors as of :class:`connectors.dynamodb.EffectTable`."""
        marker, floor = self._marker, Version(self._marker.epoch, 0).to_text()
        end = end_of_epoch_before(marker.epoch).to_text()
        # those that this very sweep has cancelled come again: a crash may have come before they were handed over
        found, after = self._table.scan_page(
            "(pickStatus = :open AND #version < :floor) OR eventId = :event",
            {"#version": "version"},
            {":open": {"S": PickStatus.OPEN}, ":floor": {"S": floor}, ":event": {"S": marker.event_id}},
            projection=KEY,
            after=self._after,
            limit=PAGE_ITEMS,
        )
        for item in found:
            order = item[KEY]["S"]
            if partition_of_key(order.encode(), marker.partitions) != marker.partition:
                continue
            refused = self._table.update_if({KEY: item[KEY]}, _cancel(marker, floor, end, now_ms), return_old=True)
            if refused is None or (refused.item or {}).get("eventId", {}).get("S") == marker.event_id:
                cancelled(order)
        self._after = after
        return after is None


def _cancel(marker: SnapshotMarker, floor: str, end: str, now_ms: int) -> Update:
    return Update(
        "SET #version = :end, eventId = :event, pickStatus = :cancelled, deleted = :true, reactedAt = :now",
        "pickStatus = :open AND #version < :floor",
        {"#version": "version"},
        {
            ":end": {"S": end},
            ":floor": {"S": floor},
            ":event": {"S": marker.event_id},
            ":cancelled": {"S": PickStatus.CANCELLED},
            ":open": {"S": PickStatus.OPEN},
            ":true": {"BOOL": True},
            ":now": {"N": str(now_ms)},
        },
    )
