"""The shards of a stream as values: listings, and what they prove.

A shard is *unlisted* when two complete listings, a minimum time apart, both lack it. One listing proves nothing (the
service is eventually consistent, and pages are read one after the other), and a partial one never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FORGET_AFTER_MS = 72 * 3_600_000
"""How long an absent shard is remembered: longer than the 48 h after which its position may go."""

COMPLETES_KEPT = 64
"""Complete listings whose times are remembered: an hour of them."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as DescribeStream lists it."""

    id: str
    parent: str = ""
    closed: bool = False
    """Whether the listing shows an end. A hint only: "open" parents with children exist, and have a real end."""
    first: int | None = None
    """StartingSequenceNumber. A mark, not a record: a shard without any record has one too."""
    last: int | None = None
    """EndingSequenceNumber of a closed shard: its last record's, or again ``first`` where it never had a record."""

    def record_after(self, read: int | None) -> int | None:
        """The sequence number of a record behind ``read`` (None: nothing was read), where the listed range proves one.

        Source: API reference of ``SequenceNumberRange``, EndingSequenceNumber is "the last sequence number for the
        stream records contained within a shard"; the example of DescribeStream there has closed shards whose two
        numbers are equal. So a last number above ``read`` and above ``first`` is that of a record. An open shard proves
        nothing, and neither does a first number.
        """
        if self.last is None or (read is None and self.first is None):
            return None
        return self.last if self.last > max(read or 0, self.first or 0) else None


@dataclass(frozen=True, slots=True)
class Listing:
    """What one pass over DescribeStream found."""

    stream: str
    shards: Mapping[str, Shard]
    complete: bool
    """False when a page failed, or for an answer about some shards only: what is absent proves nothing then."""
    at_ms: int
    """When the pass began: a shard that is absent was not there at this time."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """All listings of one stream so far, folded."""

    stream: str
    shards: Mapping[str, Shard] = field(default_factory=dict)
    """Shards listed last, with those that later partial listings added."""
    absent_since_ms: Mapping[str, int] = field(default_factory=dict)
    """Time of the first complete listing that lacked a shard listed before."""
    absent: Mapping[str, Shard] = field(default_factory=dict)
    """Those shards, as they were listed last."""
    completes_ms: tuple[int, ...] = ()
    """Times of the newest complete listings, ascending."""

    @property
    def last_complete_ms(self) -> int | None:
        """Time of the newest complete listing; None before the first."""
        return self.completes_ms[-1] if self.completes_ms else None

    def find(self, shard: str) -> Shard | None:
        """The shard as it was listed last, be it absent by now."""
        return self.shards.get(shard) or self.absent.get(shard)

    def unlisted(self, shard: str, apart_ms: int, *, since_ms: int = 0) -> bool:
        """Whether two complete listings at least ``apart_ms`` apart lack the shard.

        Only listings begun at ``since_ms`` or later count: one from before the shard was heard of proves nothing about
        it, since workers list at different times and tell each other of shards.
        """
        if shard in self.shards or not self.completes_ms:
            return False
        since_ms = max(since_ms, self.absent_since_ms.get(shard, 0))
        first = next((at_ms for at_ms in self.completes_ms if at_ms >= since_ms), None)
        return first is not None and self.completes_ms[-1] - first >= apart_ms


def observe(before: Sightings, listing: Listing) -> Sightings:
    """The sightings after one more listing of the same stream."""
    if not listing.complete:
        shards = {**before.shards, **listing.shards}
        since_ms = {shard: at for shard, at in before.absent_since_ms.items() if shard not in listing.shards}
        return Sightings(before.stream, shards, since_ms, _absent(before, since_ms), before.completes_ms)
    since_ms = {shard: listing.at_ms for shard in before.shards if shard not in listing.shards}
    for shard, at in before.absent_since_ms.items():
        if shard not in listing.shards and listing.at_ms - at < FORGET_AFTER_MS:
            since_ms[shard] = at
    completes = (*before.completes_ms[1 - COMPLETES_KEPT :], listing.at_ms)
    return Sightings(before.stream, listing.shards, since_ms, _absent(before, since_ms), completes)


def _absent(before: Sightings, since_ms: Mapping[str, int]) -> dict[str, Shard]:
    return {shard: found for shard in since_ms if (found := before.find(shard)) is not None}


def absent_parents(shards: Iterable[Shard]) -> tuple[str, ...]:
    """Parents that are named but not listed, sorted."""
    listed = {shard.id: shard for shard in shards}
    return tuple(sorted({shard.parent for shard in listed.values()} - listed.keys() - {""}))
