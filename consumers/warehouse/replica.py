"""A look at the order in this region's replica: enrichment, never the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from connectors.dynamodb import EffectTable, Item
from consumers.runtime.contracts import NotYetError
from consumers.warehouse.settings import LookUpSettings
from schemas.change import Change, Op
from schemas.errors import PoisonError

MAX_WAITING = 10_000
"""Changes that wait for the replica; at the bound all are forgotten, and each waits anew."""


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
        now_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._settings = settings
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._until_s: dict[str, float] = {}
        """Changes that wait for the replica, by event id, and until when."""
        self._standings = Counter(
            "feed_warehouse_look_ups_total",
            "look-ups in the replica, by where it stood when the warehouse acted",
            ["standing"],
            registry=registry,
        )

    def details(self, change: Change) -> Item | None:
        """The configured attributes as the replica has them; None when it is behind or has no such order.

        A replica that is behind is waited for, within ``wait_ms``, and nobody stands still meanwhile: other keys go on.

        Raises:
            NotYetError: it is behind; ask again at that time.
            FeedError: as of :class:`connectors.dynamodb.EffectTable`.
        """
        settings, event_id = self._settings, change.source.event_id
        if len(self._until_s) >= MAX_WAITING:
            self._until_s.clear()
        until_s = self._until_s.setdefault(event_id, self._monotonic() + settings.wait_ms / 1000)
        item = self._table.get(change.key)
        standing = compare(item, change, settings.version_attribute)
        left_ms = round((until_s - self._monotonic()) * 1000)
        if standing is Standing.BEHIND and left_ms > 0:
            raise NotYetError(self._now_ms() + min(settings.poll_ms, left_ms))
        self._until_s.pop(event_id, None)
        self._standings.labels(standing).inc()
        if item is None or standing is Standing.BEHIND:
            return None
        return {name: item[name] for name in settings.attributes if name in item}
