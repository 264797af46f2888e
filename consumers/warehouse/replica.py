"""A look at the order in this region's replica: enrichment, never the truth."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from connectors.dynamodb import EffectTable, Item
from consumers.warehouse.settings import LookUpSettings
from schemas.change import Change, Op
from schemas.errors import PoisonError


class Standing(StrEnum):
    """Where the replica stands, compared with a change."""

    SAME = "same"
    NEWER = "newer"
    """Normal: later changes are on their way to us as well."""
    ABSENT = "absent"
    """Normal: the order was deleted since, or is being deleted by this very change."""
    BEHIND = "behind"
    """The change has not reached the replica yet."""


def compare(item: Item | None, change: Change, version_attribute: str) -> Standing:
    """Compare a replica's item with a change, by an attribute that both have. Pure.

    Raises:
        PoisonError: the change's image has no such attribute, or no number in it.
    """
    image = change.after
    if image is None:
        return Standing.ABSENT if item is None else Standing.BEHIND
    wanted = image.get(version_attribute)
    if not isinstance(wanted, int):
        raise PoisonError(
            f"the order has no number {version_attribute}, which look-ups compare by",
            hint="name another version_attribute in look_up",
            path=f"after.{version_attribute}",
        )
    if item is None:
        # just created: the replica has yet to hear of it; else it was deleted since
        return Standing.BEHIND if change.op is Op.CREATE else Standing.ABSENT
    found = int(item.get(version_attribute, {}).get("N", -1))
    if found == wanted:
        return Standing.SAME
    return Standing.NEWER if found > wanted else Standing.BEHIND


class Replica:
    """Looks orders up in a replica. Safe to call from several threads."""

    def __init__(
        self,
        table: EffectTable,
        settings: LookUpSettings,
        *,
        registry: CollectorRegistry,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._table = table
        self._settings = settings
        self._monotonic = monotonic
        self._sleep = sleep
        self._standings = Counter(
            "feed_warehouse_look_ups_total",
            "look-ups in the replica, by where it stood when the warehouse acted",
            ["standing"],
            registry=registry,
        )

    def details(self, change: Change) -> Item | None:
        """The configured attributes as the replica has them; None when it is behind or has no such order.

        Waits for a replica that is behind, within ``wait_ms``. Errors as of :class:`connectors.dynamodb.EffectTable`.
        """
        settings = self._settings
        deadline = self._monotonic() + settings.wait_ms / 1000
        while True:
            item = self._table.get(change.key)
            standing = compare(item, change, settings.version_attribute)
            left_s = deadline - self._monotonic()
            if standing is not Standing.BEHIND or left_s <= 0:
                break
            self._sleep(min(settings.poll_ms / 1000, left_s))
        self._standings.labels(standing).inc()
        if item is None or standing is Standing.BEHIND:
            return None
        return {name: item[name] for name in settings.attributes if name in item}
