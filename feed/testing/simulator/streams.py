"""A table and its stream as DynamoDB keeps them, with every oddity that a reader must stand."""

from __future__ import annotations

import random as random_module
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.dynamodb_streams import (
    IteratorExpiredError,
    IteratorSpec,
    Listing,
    Page,
    Shard,
    ShardRefusedError,
    ShardTrimmedError,
    StreamRecord,
    StreamStatus,
    StreamThrottledError,
)
from feed.testing.simulator.clock import SimulatedClock
from schemas.errors import RetryableError

HINT = "simulated"
PLACES = 10_000
"""Keys are spread over so many places, and each shard has some of them."""

PAGE_BYTES = 1024 * 1024
"""Bytes of records in one answer; the record that goes beyond is the last one."""

SHARDS_PAGE = 100
"""Shards in one answer of DescribeStream at most."""

RETENTION_MS = 24 * 3_600_000
ITERATOR_LIFE_MS = 15 * 60_000
FIRST_SEQUENCE = 10**22 + 7
"""23 digits: one more appears while a simulation runs, so that comparing numbers as text shows."""


@dataclass(slots=True)
class StreamRates:
    """How often an answer is odd, as shares of the answers."""

    throttled: float = 0.0
    failed: float = 0.0
    empty: float = 0.0
    """A page that is empty though there is more."""
    partial_listing: float = 0.0
    """A page of a listing that fails, though the first one came."""
    shards_page: int = SHARDS_PAGE
    """Shards of a page at most."""
    describes_per_second: int = 0
    """Listings' calls beyond it are throttled, whoever makes them (10 on AWS); 0: no limit."""
    page_records: int = 1_000
    """Records of a page at most."""
    listing_delay_ms: int = 0
    """A child appears in listings so much after its birth."""
    closing_delay_ms: int = 0
    """A closed shard looks open in listings for so long."""
    ignores_child_filter: bool = False


@dataclass(slots=True)
class _Shard:
    id: str
    parent: str
    low: int
    high: int
    born_ms: int
    first: int
    """Sequence number at its birth; its records' are above."""
    last: int
    """Sequence number of its last record ever; ``first`` before any."""
    records: list[tuple[int, int, StreamRecord]] = field(default_factory=list)
    """Sequence number, time in ms, record; what was trimmed is cut off the front."""
    closed_ms: int | None = None
    trimmed_to: int = 0
    """Sequence number of the last trimmed record; 0 before any."""


@dataclass(slots=True)
class _Stream:
    arn: str
    shards: dict[str, _Shard] = field(default_factory=dict)


class SimulatedStreams:
    """One table, its current stream and those before it; the port ``Stream``."""

    def __init__(self, clock: SimulatedClock, random: random_module.Random, *, table: str = "orders") -> None:
        self.clock, self.random, self.table = clock, random, table
        self.rates = StreamRates()
        self.items: dict[str, int] = {}
        self.trimmed: dict[int, int] = {}
        """Sequence number of every record that was trimmed, and when."""
        self.written: list[tuple[str, int, str, int]] = []
        """Stream's number, sequence number, key and revision of every record, in order."""
        self.streams: dict[str, str] = {}
        """Every shard there ever was, with its stream."""
        self.parents: dict[str, str] = {}
        """Every shard there ever was, with its parent."""
        self.written_ms: dict[int, int] = {}
        """When each record was written."""
        self.expired: set[int] = set()
        """Sequence numbers of deletes by time-to-live."""
        self.unrecorded: list[tuple[str, int]] = []
        """Writes while no stream was enabled."""
        self._streams: list[_Stream] = []
        self._described_ms: list[int] = []
        self._sequence, self._made, self._enabled = FIRST_SEQUENCE, 0, False
        clock.on_advance(self._trim)

    # --- the table

    def enable(self, shards: int = 1) -> str:
        """Enable the stream; a new ARN each time."""
        label = f"2026-01-01T00:00:00.{len(self._streams) + 1:03d}"
        stream = _Stream(f"arn:aws:dynamodb:eu-west-1:000000000000:table/{self.table}/stream/{label}")
        self._streams.append(stream)
        self._enabled = True
        step = PLACES // shards
        for number in range(shards):
            high = PLACES if number == shards - 1 else (number + 1) * step
            self._open(stream, "", number * step, high)
        return stream.arn

    def disable(self) -> None:
        """Disable the stream: all its shards close, what they have stays readable."""
        self._enabled = False
        for shard in self.open_shards():
            shard.closed_ms = self.clock.now_ms()

    def write(self, key: str, *, op: str = "put", ttl: bool = False) -> None:
        """Write the next revision of an item, or delete it."""
        before = self.items.get(key)
        if op == "delete":
            if before is None:
                return
            del self.items[key]
            name, images = "REMOVE", {"OldImage": item_of(key, before)}
            revision = -before
        else:
            revision = (before or 0) + 1
            self.items[key] = revision
            name, images = ("INSERT", {}) if before is None else ("MODIFY", {"OldImage": item_of(key, before)})
            images["NewImage"] = item_of(key, revision)
        if not self._enabled:
            self.unrecorded.append((key, revision))
            return
        self._record(key, name, images, revision, ttl=ttl)

    def write_nothing_new(self, key: str) -> None:
        """A put of what is there already: DynamoDB records nothing."""

    def _record(self, key: str, name: str, images: Mapping[str, Any], revision: int, *, ttl: bool) -> None:
        self._sequence += self.random.randrange(1, 10**21)
        now_ms = self.clock.now_ms()
        data = {"ApproximateCreationDateTime": now_ms // 1_000, "Keys": {"id": {"S": key}}, **images}
        size = sum(len(str(image)) for image in images.values())
        data |= {"SequenceNumber": str(self._sequence), "SizeBytes": size, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        record: StreamRecord = {"eventID": str(self._sequence), "eventName": name, "dynamodb": data}
        if ttl:
            self.expired.add(self._sequence)
            record["userIdentity"] = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
        place = zlib.crc32(key.encode()) % PLACES
        (shard,) = [shard for shard in self.open_shards() if shard.low <= place < shard.high]
        shard.records.append((self._sequence, now_ms, record))
        shard.last = self._sequence
        self.written.append((shard.id, self._sequence, key, revision))
        self.written_ms[self._sequence] = now_ms

    # --- shards

    def open_shards(self) -> list[_Shard]:
        """Shards that take records."""
        return [shard for shard in self._streams[-1].shards.values() if shard.closed_ms is None]

    def roll(self, shard: _Shard, children: int = 1) -> None:
        """Close a shard; its children share its keys. They exist at once, and are listed when the service pleases."""
        if shard.high - shard.low < children:
            return
        shard.closed_ms = self.clock.now_ms()
        step = (shard.high - shard.low) // children
        for number in range(children):
            low = shard.low + number * step
            self._open(self._streams[-1], shard.id, low, shard.high if number == children - 1 else low + step)

    def _open(self, stream: _Stream, parent: str, low: int, high: int) -> None:
        self._made += 1
        name = f"shardId-{self._made:020d}-{self.random.randrange(16**8):08x}"
        self.parents[name], self.streams[name] = parent, stream.arn
        stream.shards[name] = _Shard(
            name, parent, low, high, self.clock.now_ms(), first=self._sequence + 1, last=self._sequence + 1
        )

    def _trim(self) -> None:
        horizon_ms = self.clock.now_ms() - RETENTION_MS
        for stream in self._streams:
            for shard in list(stream.shards.values()):
                while shard.records and shard.records[0][1] < horizon_ms:
                    sequence, _, _ = shard.records.pop(0)
                    shard.trimmed_to = sequence
                    self.trimmed[sequence] = self.clock.now_ms()
                if shard.closed_ms is not None and shard.closed_ms < horizon_ms:
                    del stream.shards[shard.id]

    @property
    def enabled(self) -> bool:
        """Whether writes are recorded."""
        return self._enabled

    @property
    def newest(self) -> int:
        """The last sequence number that was given."""
        return self._sequence

    def arns(self) -> list[str]:
        """Every stream that the table had, oldest first."""
        return [stream.arn for stream in self._streams]

    # --- the port

    def status(self, table: str) -> StreamStatus:  # noqa: ARG002 (the port's signature)
        """The newest stream."""
        self._maybe_fail()
        return StreamStatus(self._streams[-1].arn, self._enabled)

    def describe(self, stream: str, after: str, limit: int, parent: str = "") -> tuple[list[Shard], str]:
        """One page of the shards behind ``after`` (all, or the children of ``parent``), and where the next begins."""
        self._maybe_fail()
        self._count_describe()
        if after and self.random.random() < self.rates.partial_listing:
            raise RetryableError("simulated: internal server error", hint=HINT)
        if parent and self.rates.ignores_child_filter:
            return [], ""
        known = [shard for shard in self._stream(stream).shards.values() if self._shows(shard)]
        known = [shard for shard in known if shard.id > after and (not parent or shard.parent == parent)]
        page = sorted(known, key=lambda shard: shard.id)[: min(limit, self.rates.shards_page)]
        more = page[-1].id if len(page) < len(known) else ""
        return [self._listed(shard) for shard in page], more

    def _count_describe(self) -> None:
        most, now = self.rates.describes_per_second, self.clock.steady_ms()
        if not most:
            return
        self._described_ms = [at_ms for at_ms in self._described_ms if now - at_ms < 1_000]
        if len(self._described_ms) >= most:
            raise StreamThrottledError("simulated: too many calls of DescribeStream", hint=HINT)
        self._described_ms.append(now)

    def list_shards(self, stream: str) -> Listing:
        """All pages, as :class:`connectors.dynamodb_streams.StreamClient` reads them."""
        at_ms, found, after = self.clock.now_ms(), dict[str, Shard](), ""
        while True:
            try:
                page, after = self.describe(stream, after, SHARDS_PAGE)
            except RetryableError:
                if not found:
                    raise
                return Listing(stream, found, complete=False, at_ms=at_ms)
            found |= {shard.id: shard for shard in page}
            if not after:
                return Listing(stream, found, complete=True, at_ms=at_ms)

    def children(self, stream: str, shard: str) -> Listing:
        """Children of a shard, unless the server ignores the filter."""
        page, _ = self.describe(stream, "", SHARDS_PAGE, shard)
        return Listing(stream, {child.id: child for child in page}, complete=False, at_ms=self.clock.now_ms())

    def _shows(self, shard: _Shard) -> bool:
        return not shard.parent or self.clock.now_ms() - shard.born_ms >= self.rates.listing_delay_ms

    def _listed(self, shard: _Shard) -> Shard:
        closed = shard.closed_ms is not None and self.clock.now_ms() - shard.closed_ms >= self.rates.closing_delay_ms
        return Shard(shard.id, shard.parent, closed, first=shard.first, last=shard.last if closed else None)

    def iterator(self, stream: str, shard: str, spec: IteratorSpec) -> str:
        """A new iterator."""
        self._maybe_fail()
        found = self._stream(stream).shards.get(shard)
        if found is None:
            raise ShardRefusedError("simulated: no such shard", hint=HINT)
        after = -1 if spec.sequence is None else spec.sequence
        # an idle shard whose last record was trimmed answers the same, though it lost nothing
        if spec.sequence is not None and after <= found.trimmed_to:
            raise ShardTrimmedError("simulated: trimmed", hint=HINT)
        return self._token(found, after)

    def records(self, token: str, limit: int) -> Page:
        """A page."""
        self._maybe_fail()
        name, after, made_ms = _parts_of(token)
        if self.clock.now_ms() - made_ms > ITERATOR_LIFE_MS:
            raise IteratorExpiredError("simulated: expired", hint=HINT)
        shard = next((stream.shards[name] for stream in self._streams if name in stream.shards), None)
        if shard is None:
            raise ShardRefusedError("simulated: no such shard any more", hint=HINT)
        if 0 <= after < shard.trimmed_to:
            raise ShardTrimmedError("simulated: trimmed", hint=HINT)
        first = bisect_right(shard.records, after, key=_sequence_of)
        page: list[StreamRecord] = []
        size = 0
        if self.random.random() >= self.rates.empty:
            for _, _, record in shard.records[first : first + min(limit, self._page_records())]:
                page.append(record)
                size += record["dynamodb"]["SizeBytes"]
                if size > PAGE_BYTES:
                    break
        ended = shard.closed_ms is not None and first + len(page) == len(shard.records)
        if ended and page and self.random.random() < 0.5:
            ended = False  # the last records and the end may come in two answers
        reached = shard.records[first + len(page) - 1][0] if page else after
        return Page(page, None if ended else self._token(shard, reached), size)

    def _page_records(self) -> int:
        return self.random.randrange(1, self.rates.page_records + 1)

    def _token(self, shard: _Shard, after: int) -> str:
        return f"{shard.id}/{after}/{self.clock.now_ms()}/{self.random.randrange(10**12)}"

    def _stream(self, arn: str) -> _Stream:
        found = next((stream for stream in self._streams if stream.arn == arn), None)
        if found is None:
            raise ShardRefusedError("simulated: no such stream", hint=HINT)
        return found

    def _maybe_fail(self) -> None:
        chance = self.random.random()
        if chance < self.rates.throttled:
            raise StreamThrottledError("simulated: throttled", hint=HINT)
        if chance < self.rates.throttled + self.rates.failed:
            raise RetryableError("simulated: internal server error", hint=HINT)


def _sequence_of(entry: tuple[int, int, StreamRecord]) -> int:
    return entry[0]


def _parts_of(token: str) -> tuple[str, int, int]:
    """Shard, sequence number and time of an iterator."""
    shard, after, made_ms, _ = token.split("/")
    return shard, int(after), int(made_ms)


def item_of(key: str, revision: int) -> dict[str, Any]:
    """The item at a revision; it has attributes whose names differ by what careless code takes for a separator."""
    name = {"S": f"{key}/{revision}"}
    return {"id": {"S": key}, "revision": {"N": str(revision)}, "a.b": name, "a_b": {"NULL": True}, "A-b": name}
