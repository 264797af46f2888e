"""The warehouse: acts on each change with one conditional write."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from connectors.dynamodb import EffectTable
from consumers.warehouse.picks import key_of, pick_of, update_of
from consumers.warehouse.settings import WarehouseSettings
from schemas.change import Change


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
    ) -> None:
        self._table = table
        self._settings = settings
        self._now_ms = now_ms
        acted = Counter(
            "feed_warehouse_changes_total", "changes acted on, or seen before", ["outcome"], registry=registry
        )
        self._acted = acted.labels("acted")
        self._seen = acted.labels("seen")

    def handle(self, change: Change) -> None:
        """Start, update, cancel or close the order's pick."""
        pick = pick_of(change, self._settings)
        update = update_of(pick, change, now_ms=self._now_ms(), keep_history=self._settings.keep_history)
        refused = self._table.update_if(key_of(pick), update)
        (self._acted if refused is None else self._seen).inc()
