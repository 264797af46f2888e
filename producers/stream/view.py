"""What all slots of a worker see together: the followed positions topic, and the stream's listings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from connectors.dynamodb_streams import Listing, Sightings, StreamStatus, observe
from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, SlotRecord
from schemas.snapshot import SEGMENT_PREFIX, SnapshotState

SNAPSHOT = -1
"""Stands for a slot's number where an entry is one of the snapshot topic."""


class View:
    """Written by the follower and by discovery, read by every slot. What it holds may be late, never early."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.status: StreamStatus | None = None
        self.baseline: Baseline | None = None
        self.records: Mapping[int, SlotRecord] = {}
        self.sightings: Mapping[str, Sightings] = {}
        self.snapshot = SnapshotState()
        self.version = 0
        """Grows with everything that a slot's statements or eligibility may depend on."""
        self.ended: list[tuple[str, str]] = []
        """Stream and shard of ends whose children discovery has not asked for yet."""
        self.idle_shards: dict[int, int] = {}
        """Shards each running slot reads, for the shared budget of idle reads."""
        self.owned: frozenset[int] = frozenset()
        """Slots that the group gives this worker. With none it lists no shards: it has no use for them, nor a turn."""
        self._positions: dict[str, Position] = {}
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called after every change."""
        with self._lock:
            self._wakers.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """The inverse of :meth:`on_change`."""
        with self._lock:
            self._wakers = [known for known in self._wakers if known != wake]

    def position(self, shard: str) -> Position | None:
        """A shard's position, of any slot."""
        return self._positions.get(shard)

    def positions(self) -> dict[str, Position]:
        """All positions now."""
        with self._lock:
            return dict(self._positions)

    def follow(self, entries: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        """Take in records of the positions topic: slot, key, value; or :data:`SNAPSHOT`, key, value."""
        changed = False
        with self._lock:
            for slot, key, value in entries:
                changed |= self._apply(slot, key, value)
        if changed:
            self._changed()

    def _apply(self, slot: int, key: bytes, value: bytes | None) -> bool:
        if slot == SNAPSHOT:
            self.snapshot = self.snapshot.apply(key, value)
            # how far a scan is concerns no slot
            return not key.startswith(SEGMENT_PREFIX)
        if key == BASELINE_KEY:
            self.baseline = Baseline.from_json(value) if value else None
        elif key == SLOT_KEY:
            if value:
                self.records = {**self.records, slot: SlotRecord.from_json(value)}
        elif value is None:
            self._positions.pop(key.decode(), None)
        else:
            position = Position.from_json(key, value)
            before = self._positions.get(position.shard)
            self._positions[position.shard] = position
            # most updates only move a sequence number, which nobody else waits for
            return before is None or before.state is not position.state
        return True

    def missing_slots(self, epoch: int) -> list[int]:
        """Slots that have not written yet that they publish under ``epoch`` (or a later one)."""
        records = self.records
        return [slot for slot in range(self.slots) if slot not in records or records[slot].epoch < epoch]

    def observe(self, listing: Listing) -> None:
        """Take in a listing."""
        with self._lock:
            before = self.sightings.get(listing.stream, Sightings(listing.stream))
            self.sightings = {**self.sightings, listing.stream: observe(before, listing)}
        self._changed()

    def own(self, slots: frozenset[int]) -> None:
        """Take in which slots are this worker's."""
        if slots != self.owned:
            self.owned = slots
            self._changed()

    def saw_status(self, status: StreamStatus) -> None:
        """Take in which stream the table has."""
        if status != self.status:
            self.status = status
            self._changed()

    def shard_ended(self, stream: str, shard: str) -> None:
        """A shard's end was read: its children are wanted soon."""
        with self._lock:
            self.ended.append((stream, shard))
        self._changed()

    def take_ended(self) -> list[tuple[str, str]]:
        """The ends to follow up, once."""
        with self._lock:
            ended, self.ended = self.ended, []
        return ended

    def _changed(self) -> None:
        with self._lock:
            self.version += 1
            wakers = list(self._wakers)
        for wake in wakers:
            wake()
