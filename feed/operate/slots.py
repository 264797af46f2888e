"""Slots, as the positions topic tells them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, SlotRecord

OWN_PREFIX = b"@"
"""Keys that begin with it are the feed's own records; DynamoDB's shard ids never do."""

Entry = tuple[int, bytes, bytes | None]
"""Partition (the slot), key, value; in the partition's order."""


@dataclass(frozen=True, slots=True)
class Held:
    """A shard, or the change to a new stream, that waits for a person."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot: what is known of its shards."""

    slot: int
    epoch: int | None
    """The epoch it publishes under; None before its first owner has written that."""
    listed_at_ms: int | None
    """Time of the newest complete listing whose shards it has taken in."""
    states: Mapping[str, int]
    """Shards by state."""
    latest_at_ms: int | None
    """When the newest of its positions was written; None when it has none."""
    held: tuple[Held, ...]


def slots_of(entries: Iterable[Entry], slots: int) -> list[SlotView]:
    """Every slot of a positions topic with ``slots`` partitions; of a key the last record counts, a tombstone ends it.

    Raises:
        FatalError: a value is not one of ours, or of a later format.
    """
    latest: list[dict[bytes, bytes]] = [{} for _ in range(slots)]
    for slot, key, value in entries:
        if value is None:
            latest[slot].pop(key, None)
        else:
            latest[slot][key] = value
    return [_view(slot, records) for slot, records in enumerate(latest)]


def _view(slot: int, records: Mapping[bytes, bytes]) -> SlotView:
    positions = [
        Position.from_json(key, value) for key, value in sorted(records.items()) if not key.startswith(OWN_PREFIX)
    ]
    own = records.get(SLOT_KEY)
    record = None if own is None else SlotRecord.from_json(own)
    held = [Held(position.shard, position.held) for position in positions if position.held]
    if (stated := records.get(BASELINE_KEY)) is not None:
        baseline = Baseline.from_json(stated)
        if baseline.held:
            held.append(Held(baseline.stream, baseline.held))
    return SlotView(
        slot=slot,
        epoch=None if record is None else record.epoch,
        listed_at_ms=None if record is None else record.listed_at_ms,
        states=dict(Counter(position.state.value for position in positions)),
        latest_at_ms=max((position.at_ms for position in positions), default=None),
        held=tuple(held),
    )
