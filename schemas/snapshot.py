"""A snapshot's own memory: the compacted topic ``<feed>.snapshot``, one partition: what was asked for, how far it is.

===============  ====================  =============================================================================
key              value                 written by
===============  ====================  =============================================================================
``@request``     :class:`Request`      whoever scans, before it begins; the owner of slot 0 raises the epoch by it
``@run``         :class:`Run`          whoever scans, when it begins or resumes: a second one beside it shows
``segment-<n>``  :class:`Segment`      whoever scans, in the transaction that carries the rows it covers
``@complete``    :class:`Complete`     whoever scans, in the transaction that carries the markers
``@gap-<slot>``  :class:`GapNote`      the owner of a slot, in the transaction that tells a gap: a snapshot is due
===============  ====================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from schemas.attributes import base64_text, binary, with_bytes
from schemas.stored import load_stored

REQUEST_KEY = b"@request"
RUN_KEY = b"@run"
COMPLETE_KEY = b"@complete"
GAP_PREFIX = b"@gap-"
SEGMENT_PREFIX = b"segment-"
FORMAT = 1
"""Written into every value; a reader refuses a number it does not know."""


def snapshot_topic(feed: str) -> str:
    """The topic's name, and the transactional id of whoever scans."""
    return f"{feed}.snapshot"


def shard_of(epoch: int, segment: int) -> str:
    """The shard that a segment's rows say they are from."""
    return f"snapshot-{epoch}-{segment}"


@dataclass(frozen=True, slots=True)
class Request:
    """A snapshot under ``epoch`` is wanted; it is under way until the same epoch is complete."""

    epoch: int
    segments: int
    at_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Who scans. A run that finds another one's id here has been replaced, and stops."""

    id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Segment:
    """How far one segment of the scan is published."""

    number: int
    epoch: int
    after: Mapping[str, Any] | None = None
    """``LastEvaluatedKey`` of the last published page; None before the first and after the last."""
    ordinal: int = -1
    """Ordinal of the last row, dead letters among them; -1 before the first."""
    refused: int = 0
    """Rows in the dead letters."""
    dropped: int = 0
    """Items that the filter left out; they take no ordinal."""
    units: float = 0.0
    """Read units used."""
    begun: bool = False
    done: bool = False
    at_ms: int = 0

    @property
    def shard(self) -> str:
        """As the rows name it."""
        return shard_of(self.epoch, self.number)


@dataclass(frozen=True, slots=True)
class Complete:
    """The last snapshot that was published whole."""

    epoch: int
    rows: int
    refused: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class GapNote:
    """A slot that published under ``epoch`` told a gap: only a snapshot under a higher one covers it."""

    epoch: int
    at_ms: int


Entry = Request | Run | Segment | Complete | GapNote


def entry_json(entry: Entry) -> bytes:
    """A record's value."""
    return orjson.dumps({"v": FORMAT, **asdict(entry)}, default=_base64)


def gap_key(slot: int) -> bytes:
    """The key of a slot's note."""
    return GAP_PREFIX + b"%d" % slot


def segment_key(number: int) -> bytes:
    """The key of a segment's record."""
    return SEGMENT_PREFIX + b"%d" % number


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """What the topic says, taken together. Pure: :meth:`apply` gives the next state."""

    request: Request | None = None
    run: Run | None = None
    complete: Complete | None = None
    segments: Mapping[int, Segment] = field(default_factory=dict)
    gaps: Mapping[int, int] = field(default_factory=dict)
    """The epoch of each slot's last gap."""
    moved_at_ms: int = 0
    """When whoever scans last wrote something."""

    def apply(self, key: bytes, value: bytes | None) -> SnapshotState:
        """Take in a record.

        Raises:
            FatalError: it is not one of ours, or of a later format.
        """
        if value is None:
            return self
        if key.startswith(GAP_PREFIX):
            note = GapNote(**_load(key, value))
            return replace(self, gaps={**self.gaps, int(key.removeprefix(GAP_PREFIX)): note.epoch})
        if key.startswith(SEGMENT_PREFIX):
            segment = Segment(**_load(key, value))
            if segment.after is not None:
                segment = replace(segment, after=with_bytes(segment.after))
            return replace(self, segments={**self.segments, segment.number: segment}, moved_at_ms=segment.at_ms)
        if key == REQUEST_KEY:
            request = Request(**_load(key, value))
            return replace(self, request=request, moved_at_ms=request.at_ms)
        if key == RUN_KEY:
            run = Run(**_load(key, value))
            return replace(self, run=run, moved_at_ms=run.at_ms)
        if key == COMPLETE_KEY:
            return replace(self, complete=Complete(**_load(key, value)))
        return self

    @property
    def pending(self) -> Request | None:
        """The request that is not complete yet."""
        if self.request is None or self.request.epoch <= self.completed_epoch:
            return None
        return self.request

    @property
    def completed_epoch(self) -> int:
        """The epoch of the last complete snapshot; 0 before any."""
        return self.complete.epoch if self.complete else 0

    @property
    def gap_epoch(self) -> int:
        """The highest epoch under which a gap was told; 0 when none was."""
        return max(self.gaps.values(), default=0)

    @property
    def due(self) -> bool:
        """Whether a gap was told that no snapshot so far covers, the pending one included."""
        return self.gap_epoch > 0 and self.gap_epoch >= max(
            self.completed_epoch, self.request.epoch if self.request else 0
        )

    def segments_of(self, request: Request) -> list[Segment]:
        """The request's segments, as far as they are; fresh where nothing is written."""
        found = []
        for number in range(request.segments):
            known = self.segments.get(number)
            fresh = known is None or known.epoch != request.epoch
            found.append(Segment(number, request.epoch) if known is None or fresh else known)
        return found


def _load(key: bytes, value: bytes) -> dict[str, Any]:
    return load_stored(value, topic="snapshot", key=key, known=FORMAT)


def _base64(part: Any) -> str:
    """A binary key attribute, as boto3 gives it."""
    return base64_text(binary(part))
