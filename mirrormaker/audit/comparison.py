"""Whether a partition's copy is its original, record by record and in order; pure, with bounded memory.

Both sides come as fingerprints in the order of their offsets. Equal heads are matched and forgotten. When they differ,
the nearest place where both agree again says what was skipped on which side:

* on the source's side: *missing* in the copy (or *reordered*, when the copy has it at another place)
* on the copy's side: *repeated* when it was matched before, else *foreign* (or *reordered*)

An altered record is one missing and one foreign at the same place.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")

WINDOW = 20_000
"""Fingerprints held for each side of a partition: 20,000 × about 150 bytes × 2 = 6 MB at most."""

EXAMPLES = 20
"""Places that are remembered for each kind of difference; the rest is counted."""


class Print(NamedTuple):
    """A record's fingerprint and place."""

    digest: bytes
    offset: int


class Kind(StrEnum):
    """What can be wrong with a copy."""

    MISSING = "missing"
    """In the source and not in the copy."""
    REPEATED = "repeated"
    """More than once in the copy."""
    FOREIGN = "foreign"
    """In the copy and not in the source."""
    REORDERED = "reordered"
    """In both, at another place."""
    TRIMMED = "trimmed"
    """Offsets that a side no longer holds, so that nobody can say what they were."""
    RECREATED = "recreated"
    """A topic was deleted and made anew: what lay between cannot be compared."""
    STALLED = "stalled"
    """The source has records that the copy has not got within the bound."""
    INCOMPLETE = "incomplete"
    """Ordinals of a shard that never came; told of a shard, not of a partition."""


@dataclass(frozen=True)
class Span:
    """Differences of a kind since they were last told: how many, and from which source offset to which."""

    count: int
    first: int
    last: int


class Example(NamedTuple):
    """One difference's place: offsets in the source and in the copy; -1 where there is none."""

    source_offset: int
    copy_offset: int


@dataclass
class Tally:
    """What was found so far in one partition."""

    matched: int = 0
    before: int = 0
    """Source records before the oldest that the copy still holds; not a difference."""
    counts: dict[Kind, int] = field(default_factory=dict)
    examples: dict[Kind, list[Example]] = field(default_factory=dict)
    fresh: dict[Kind, Span] = field(default_factory=dict)
    """What was found and not told yet."""

    def add(self, kind: Kind, example: Example, count: int = 1) -> None:
        """Count a difference, and remember its place while there is room."""
        self.counts[kind] = self.counts.get(kind, 0) + count
        places = self.examples.setdefault(kind, [])
        if len(places) < EXAMPLES:
            places.append(example)
        at, before = example.source_offset, self.fresh.get(kind)
        first = at if before is None or before.first < 0 else before.first
        last = at if kind is not Kind.TRIMMED else example.copy_offset
        self.fresh[kind] = Span(
            count + (before.count if before else 0), first, max(last, before.last if before else -1)
        )

    def take_fresh(self) -> dict[Kind, Span]:
        """What was found since the last time."""
        found, self.fresh = self.fresh, {}
        return {kind: span for kind, span in found.items() if span.count > 0}

    def take_back(self, kind: Kind, example: Example) -> None:
        """A difference turned out to be another one."""
        self.counts[kind] -= 1
        if example in self.examples.get(kind, ()):
            self.examples[kind].remove(example)
        if kind in self.fresh:
            self.fresh[kind] = replace(self.fresh[kind], count=self.fresh[kind].count - 1)

    @property
    def differs(self) -> bool:
        """Anything is wrong."""
        return any(self.counts.values())


class Comparison:
    """One partition; feed it both sides and call ``compare``.

    Args:
        aligned: both sides are known to begin at the same record (resumed); else the first common record is looked for.
        window: fingerprints held for each side.
    """

    def __init__(self, *, aligned: bool = False, window: int = WINDOW) -> None:
        self.tally = Tally()
        self.aligned = aligned
        self._copy_is_older = False
        self._window = window
        self._source: deque[Print] = deque()
        self._copy: deque[Print] = deque()
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._missing: OrderedDict[bytes, Example] = OrderedDict()
        self._foreign: OrderedDict[bytes, Example] = OrderedDict()
        self.next_source_offset: int | None = None
        self.next_copy_offset: int | None = None

    def add_source(self, prints: Iterable[Print]) -> None:
        """More of the source."""
        self._source.extend(prints)

    def add_copy(self, prints: Iterable[Print]) -> None:
        """More of the copy."""
        self._copy.extend(prints)

    @property
    def source_full(self) -> bool:
        """No more of the source is wanted for now."""
        return len(self._source) >= self._window

    @property
    def copy_full(self) -> bool:
        """No more of the copy is wanted for now."""
        return len(self._copy) >= self._window

    @property
    def copy_is_older(self) -> bool:
        """The copy begins earlier than the source, and their first common record was not found yet."""
        return self._copy_is_older and not self.aligned

    @property
    def judges_what_waits(self) -> bool:
        """A source record that stays without a copy is a difference; else the copy may have let it expire."""
        return self.aligned or self._copy_is_older

    @property
    def waiting(self) -> Print | None:
        """The oldest source record that the copy has not got yet."""
        return self._source[0] if self._source else None

    @property
    def lag(self) -> int:
        """Source records read and not yet matched."""
        return len(self._source)

    def compare(self, *, ended: bool = False) -> None:
        """Match what can be matched.

        Args:
            ended: nothing more comes on either side, so what is left over is missing or foreign.
        """
        if not self.aligned:
            self._align()
        while self.aligned and self._source and self._copy:
            if self._source[0].digest == self._copy[0].digest:
                self._match()
            elif not self._resync(ended=ended):
                return
        if ended and self.aligned:
            self._skip(len(self._source), len(self._copy))

    def restart(self, *, copy_is_older: bool) -> int:
        """After a gap, look for a common record anew.

        Args:
            copy_is_older: the source begins later than the copy now, so it is the copy that is read up to it.

        Returns:
            How many source records were pending and are given up.
        """
        given_up = len(self._source)
        self._source.clear()
        if not copy_is_older:  # else what the copy has goes on: the source's first record is looked for in it
            self._copy.clear()
        self.aligned = False
        self._copy_is_older = copy_is_older
        return given_up

    def resume(self, *, aligned: bool, copy_is_older: bool) -> None:
        """Both sides are read again from ``next_source_offset`` and ``next_copy_offset``: what is held comes again."""
        self._source.clear()
        self._copy.clear()
        self.aligned = aligned
        self._copy_is_older = copy_is_older

    def begin_another(self, *, copy_is_older: bool) -> None:
        """What follows is another topic's: the offsets of this one mean nothing there."""
        self.restart(copy_is_older=copy_is_older)
        self.next_source_offset = self.next_copy_offset = None

    def give_up(self) -> None:
        """Nothing more comes: what is left on the source's side is missing, and on the copy's side foreign."""
        self.aligned = True
        self.compare(ended=True)

    def _align(self) -> None:
        """Drop the older side's records until one is in the other's window; nothing is held for it.

        At a fresh start the source is older: it keeps more. What it has before the copy's window is not judged.
        When the copy is older, what the source has before the first common record never came: it is missing.
        """
        older, later = (self._copy, self._source) if self._copy_is_older else (self._source, self._copy)
        places = {one.digest: index for index, one in reversed(list(enumerate(later)))}
        while older and places:
            index = places.get(older[0].digest)
            if index is not None:
                self.aligned = True
                if self._copy_is_older:
                    self._skip(index, 0)
                else:
                    for _ in range(index):
                        later.popleft()
                return
            older.popleft()
            self.tally.before += 0 if self._copy_is_older else 1

    def _match(self) -> None:
        source, copy = self._source.popleft(), self._copy.popleft()
        self._remember(self._recent, source.digest, None)
        self.tally.matched += 1
        self.next_source_offset, self.next_copy_offset = source.offset + 1, copy.offset + 1

    def _resync(self, *, ended: bool) -> bool:
        """Skip to the nearest place where both agree; False: more must be read before that can be said."""
        place = nearest(self._source, self._copy)
        if place is None:
            if self.source_full and self.copy_full:
                self._skip(len(self._source), len(self._copy))
                return True
            if ended:
                self._skip(len(self._source), len(self._copy))
            return False
        self._skip(*place)
        return True

    def _skip(self, of_source: int, of_copy: int) -> None:
        at_copy = self._copy[0].offset if self._copy else -1
        at_source = self._source[0].offset if self._source else -1
        for _ in range(of_source):
            one = self._source.popleft()
            self._one_missing(one, Example(one.offset, at_copy))
            self.next_source_offset = one.offset + 1
        for _ in range(of_copy):
            one = self._copy.popleft()
            self._one_foreign(one, Example(at_source, one.offset))
            self.next_copy_offset = one.offset + 1

    def _one_missing(self, one: Print, example: Example) -> None:
        before = self._foreign.pop(one.digest, None)
        if before is not None:
            self.tally.take_back(Kind.FOREIGN, before)
            self.tally.add(Kind.REORDERED, Example(one.offset, before.copy_offset))
            return
        self.tally.add(Kind.MISSING, example)
        self._remember(self._missing, one.digest, example)

    def _one_foreign(self, one: Print, example: Example) -> None:
        before = self._missing.pop(one.digest, None)
        if before is not None:
            self.tally.take_back(Kind.MISSING, before)
            self.tally.add(Kind.REORDERED, Example(before.source_offset, one.offset))
        elif one.digest in self._recent:
            self.tally.add(Kind.REPEATED, example)
        else:
            self.tally.add(Kind.FOREIGN, example)
            self._remember(self._foreign, one.digest, example)

    def _remember(self, memory: OrderedDict[bytes, T], digest: bytes, value: T) -> None:
        memory[digest] = value
        if len(memory) > self._window:
            memory.popitem(last=False)


def nearest(source: Sequence[Print] | deque[Print], copy: Sequence[Print] | deque[Print]) -> tuple[int, int] | None:
    """How many to skip on each side until both agree, the fewest together; None: they agree nowhere."""
    places: dict[bytes, int] = {}
    for index, one in enumerate(copy):
        places.setdefault(one.digest, index)
    best: tuple[int, int] | None = None
    for index, one in enumerate(source):
        if best is not None and index >= sum(best):
            break
        found = places.get(one.digest)
        if found is not None and (best is None or index + found < sum(best)):
            best = (index, found)
    return best


def fingerprint(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None) -> bytes:
    """Sixteen bytes of everything that the copy must keep: key, value, headers in order; absent is not empty."""
    digest = hashlib.blake2b(digest_size=16)
    parts: list[bytes | None] = [key, value]
    for name, content in headers or ():
        parts += [name.encode(), content]
    for part in parts:
        if part is None:
            digest.update(b"\xff\xff\xff\xff\xff\xff\xff\xff")
        else:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.digest()
