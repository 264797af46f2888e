"""Whether a copy is complete by itself: each shard's ordinals must be dense. Pure, with bounded memory.

Records of a shard lie in many partitions, which are read side by side, so a hole is normal for a while. It is a
difference when it has stood for longer than a bound, or when the audit ends. Only what was captured after every
partition's first record was can be judged: before that a partition may have let its part expire.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field

from schemas.control import ControlEvent, ControlKind

MAX_RUNS = 1_000
"""Stretches of ordinals held for a shard; with more, the oldest hole is judged at once. About 16 kB."""
MAX_SHARDS = 10_000
"""Shards that are followed, and finished ones that are remembered; beyond that the oldest is forgotten."""


@dataclass(frozen=True)
class Hole:
    """Ordinals of a shard that never came; both ends included."""

    shard: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass
class Shard:
    """The ordinals of one shard that were seen, as runs without a hole."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    floor: int | None = None
    """The lowest ordinal that can be judged; None: not known yet."""
    end: int | None = None
    """The last ordinal, from its shard-end."""
    since_ms: dict[int, int] = field(default_factory=dict)
    """When a hole was first seen, by its first ordinal."""

    def add(self, first: int, last: int) -> None:
        """These were seen (or judged, or refused)."""
        at = bisect_right(self.firsts, first)
        begin = at - 1 if at and self.lasts[at - 1] >= first - 1 else at
        stop = at
        while stop < len(self.firsts) and self.firsts[stop] <= last + 1:
            stop += 1
        if begin < stop:
            first, last = min(first, self.firsts[begin]), max(last, self.lasts[stop - 1])
        self.firsts[begin:stop] = [first]
        self.lasts[begin:stop] = [last]

    def holes(self) -> list[tuple[int, int]]:
        """Between the floor and the last that must be there."""
        if self.floor is None:
            return []
        found, expected = [], self.floor
        for first, last in zip(self.firsts, self.lasts, strict=True):
            if first > expected:
                found.append((expected, first - 1))
            expected = max(expected, last + 1)
        if self.end is not None and expected <= self.end:
            found.append((expected, self.end))
        return found

    @property
    def is_complete(self) -> bool:
        """It has ended, and nothing of it is missing."""
        return self.end is not None and self.floor is not None and not self.holes()


class ShardLedger:
    """Follows the shards of one feed in one copy.

    Args:
        patience_ms: so long a hole may stand.
    """

    def __init__(self, *, patience_ms: int) -> None:
        self.shards: OrderedDict[str, Shard] = OrderedDict()
        self.judged_after_ms: int | None = None
        """Capture time after which every partition still has everything; None: nothing is judged yet."""
        self.missing = 0
        """Ordinals that never came."""
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._patience_ms = patience_ms

    def see(self, shard: str, ordinal: int, captured_at_ms: int) -> None:
        """A change came."""
        if self.judged_after_ms is None or captured_at_ms <= self.judged_after_ms or shard in self._finished:
            return
        one = self._shard(shard)
        one.floor = ordinal if one.floor is None else min(one.floor, ordinal)
        one.add(ordinal, ordinal)

    def hear(self, event: ControlEvent) -> None:
        """The feed said something about a shard."""
        if self.judged_after_ms is None or event.shard in self._finished:
            return
        if event.kind is ControlKind.SHARD_START and event.at_ms > self.judged_after_ms:
            self._shard(event.shard).floor = 0
        elif event.kind is ControlKind.REFUSED:
            self._shard(event.shard).add(event.ordinal, event.ordinal)
        elif event.kind is ControlKind.SHARD_END:
            self._shard(event.shard).end = event.ordinal

    def judge(self, now_ms: int, *, ended: bool = False) -> list[Hole]:
        """Holes that have stood for too long, each told once; shards that are complete are put away.

        Args:
            now_ms: the clock.
            ended: nothing more comes.
        """
        found = []
        for name, shard in list(self.shards.items()):
            holes = shard.holes()
            since = {first: shard.since_ms.get(first, now_ms) for first, _ in holes}
            for number, (first, last) in enumerate(holes):
                is_old = now_ms - since[first] >= self._patience_ms
                if ended or is_old or len(holes) - number > MAX_RUNS:
                    found.append(Hole(name, first, last))
                    shard.add(first, last)
            shard.since_ms = since
            if shard.is_complete:
                self._put_away(name)
        self.missing += sum(hole.count for hole in found)
        return found

    def _shard(self, name: str) -> Shard:
        if name not in self.shards:
            self.shards[name] = Shard()
            if len(self.shards) > MAX_SHARDS:
                self.shards.popitem(last=False)
        return self.shards[name]

    def _put_away(self, name: str) -> None:
        del self.shards[name]
        self._finished[name] = None
        if len(self._finished) > MAX_SHARDS:
            self._finished.popitem(last=False)

    def document(self) -> dict[str, object]:
        """What is known, as plain values for a state file."""
        return {
            "judged_after_ms": self.judged_after_ms,
            "missing": self.missing,
            "finished": list(self._finished)[-1_000:],
            "shards": {
                name: {"runs": list(zip(one.firsts, one.lasts, strict=True)), "floor": one.floor, "end": one.end}
                for name, one in self.shards.items()
            },
        }

    def restore(self, document: dict[str, object]) -> None:
        """Go on from what :meth:`document` gave.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        after, shards, finished = document["judged_after_ms"], document["shards"], document["finished"]
        if not isinstance(shards, dict) or not isinstance(finished, list):
            raise TypeError("shards")
        self.judged_after_ms = None if after is None else int(str(after))
        self.missing = int(str(document["missing"]))
        self._finished = OrderedDict.fromkeys(map(str, finished))
        for name, one in shards.items():
            runs = one["runs"]
            self.shards[name] = Shard(
                [int(run[0]) for run in runs], [int(run[1]) for run in runs], one["floor"], one["end"]
            )
