"""Positions: what a feed remembers of the stream, in the compacted topic ``<feed>.positions``.

The topic's partitions are the feed's *slots*. Three kinds of record live there, told apart by key:

=============  ====================  ==============================================================================
key            value                 written by
=============  ====================  ==============================================================================
shard id       :class:`Position`     the owner of the shard's slot, in the transaction that carries the changes
``@baseline``  :class:`Baseline`     the owner of slot 0, once for each stream (and for each reload)
``@slot``      :class:`SlotRecord`   the owner of the slot: what epoch it publishes under, what listing it has seen
=============  ====================  ==============================================================================

Values are JSON, so that a person with a console consumer can read them. Sequence numbers are text in it: they have up
to 40 digits, and JSON numbers are doubles to most readers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from schemas.stored import load_stored

BASELINE_KEY = b"@baseline"
SLOT_KEY = b"@slot"
FORMAT = 1
"""Written into every value; a reader refuses a number it does not know."""

TRIMMED = "trimmed"
"""A :attr:`Position.start`: what the stream trimmed is told by a gap event; reading goes on at the trim horizon."""


class ShardState(StrEnum):
    """How far a shard is. ``finished`` and ``gap`` are terminal: its children may be read."""

    KNOWN = "known"
    READING = "reading"
    FINISHED = "finished"
    GAP = "gap"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be read of the shard."""
        return self in (ShardState.FINISHED, ShardState.GAP)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one shard was read and published."""

    shard: str
    stream: str
    """ARN of the stream the shard belongs to."""
    state: ShardState = ShardState.KNOWN
    sequence: int | None = None
    """Sequence number of the last record read; None before the first."""
    ordinal: int = -1
    """Ordinal of the last change published; -1 before the first."""
    parent: str = ""
    """The parent that must be terminal before this one is read; empty: there is none, or it lay before the baseline."""
    epoch: int = 1
    """The epoch under which the shard last published."""
    start: str = ""
    """How to begin without a sequence number: empty is the trim horizon, ``latest@<ms>`` the same less what is older,
    ``trimmed`` the trim horizon after a gap event."""
    since_ms: int = 0
    """The shard's changes before this time are not promised or cannot exist: the baseline's time, or when a complete
    listing did not have it yet. Read first later than the stream's retention after that, and changes may be missing."""
    at_ms: int = 0
    """When this record was written."""
    held: str = ""
    """The reason of a gap that was told while the policy was ``fail``: the shard waits for a person."""
    unlisted_at_ms: int = 0
    """When a terminal shard was first found to be unlisted; 0 while it is listed."""

    @property
    def key(self) -> bytes:
        """Key of the record in the positions topic."""
        return self.shard.encode()

    def to_json(self) -> bytes:
        """The record's value; defaults are left out."""
        value: dict[str, Any] = {"v": FORMAT, "stream": self.stream, "state": self.state.value, "ordinal": self.ordinal}
        if self.sequence is not None:
            value["sequence"] = str(self.sequence)
        value["epoch"] = self.epoch
        for name in ("parent", "start", "since_ms", "at_ms", "held", "unlisted_at_ms"):
            if part := getattr(self, name):
                value[name] = part
        return orjson.dumps(value)

    @classmethod
    def from_json(cls, key: bytes, value: bytes) -> Position:
        """The inverse of :meth:`to_json`.

        Raises:
            FatalError: the value is not one of ours, or of a later format.
        """
        data = _load(key, value)
        sequence = data.pop("sequence", None)
        state = ShardState(data.pop("state"))
        return cls(shard=key.decode(), state=state, sequence=None if sequence is None else int(sequence), **data)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where the feed began with a stream: what came before is not promised."""

    stream: str
    epoch: int
    at_ms: int
    since_ms: int = 0
    """What was written before is not promised: the time of the first baseline; for a later stream, when a listing last
    found the one before it to be the table's."""
    start: str = ""
    """As in :attr:`Position.start`, for the shards of the baseline."""
    shards: Mapping[str, str] = field(default_factory=dict)
    """Every shard that was listed, with its parent."""
    gone: tuple[str, ...] = ()
    """Parents that were named but no longer listed: they lie before the baseline."""
    after: str = ""
    """The stream that this one replaces, whose shards must all be terminal first."""
    held: str = ""
    """As in :attr:`Position.held`: the change of stream waits for a person."""

    def to_json(self) -> bytes:
        """The record's value."""
        value: dict[str, Any] = {"v": FORMAT, "stream": self.stream, "epoch": self.epoch, "at_ms": self.at_ms}
        value |= {"since_ms": self.since_ms, "start": self.start, "shards": dict(self.shards), "gone": list(self.gone)}
        return orjson.dumps(value | {"after": self.after, "held": self.held})

    @classmethod
    def from_json(cls, value: bytes) -> Baseline:
        """The inverse of :meth:`to_json`.

        Raises:
            FatalError: the value is not one of ours, or of a later format.
        """
        data = _load(BASELINE_KEY, value)
        return cls(gone=tuple(data.pop("gone")), **data)


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What a slot has taken in: the baseline's epoch, and the newest complete listing."""

    epoch: int
    """The slot publishes under this epoch, and has a record for each of its shards of that baseline."""
    stream: str
    listed_at_ms: int
    """Time of a complete listing whose shards of this slot all have records: a shard without one is younger."""

    def to_json(self) -> bytes:
        """The record's value."""
        return orjson.dumps(
            {"v": FORMAT, "epoch": self.epoch, "stream": self.stream, "listed_at_ms": self.listed_at_ms}
        )

    @classmethod
    def from_json(cls, value: bytes) -> SlotRecord:
        """The inverse of :meth:`to_json`.

        Raises:
            FatalError: the value is not one of ours, or of a later format.
        """
        return cls(**_load(SLOT_KEY, value))


def slot_of(shard: str, slots: int) -> int:
    """The slot that a shard belongs to, of ``slots`` in all."""
    return zlib.crc32(shard.encode()) % slots


def _load(key: bytes, value: bytes) -> dict[str, Any]:
    return load_stored(value, topic="positions", key=key, known=FORMAT)
