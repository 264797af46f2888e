"""Gap events: what the feed itself says is, or may be, missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from schemas.control import ControlEvent, ControlKind


def gaps_of(events: Iterable[ControlEvent]) -> list[ControlEvent]:
    """The gaps among control events, oldest first."""
    return sorted((event for event in events if event.kind is ControlKind.GAP), key=lambda event: event.at_ms)


def told(gap: ControlEvent) -> dict[str, Any]:
    """A gap as plain data. Sequence numbers are text: they have up to 40 digits."""
    return {
        "at": time_text(gap.at_ms),
        "shard": gap.shard,
        "stream": gap.stream,
        "reason": gap.reason,
        "certain": gap.certain,
        "last_read": None if gap.sequence is None else str(gap.sequence),
        "to": None if gap.to_sequence is None else str(gap.to_sequence),
        "last_ordinal": gap.ordinal,
        "epoch": gap.epoch,
        "slot": gap.slot,
    }


def time_text(at_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
