"""Where a replay stands, as its topic alone tells: no other record of it is kept anywhere.

Every transaction sends a contiguous part of one total order, so the highest place among the last records of all
partitions is how far it came, and the number in each last record is how many its partition has. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producers.replay.rows import Selection, place_of_headers
from schemas.errors import ConfigError, FatalError
from schemas.replay import ORDINAL, ReplayMarker, marker_of

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a replay is of."""

    feed: str
    consumer: str
    selection: Selection

    @property
    def order(self) -> str:
        """The one order, empty for all."""
        return "" if self.selection.key is None else self.selection.key.decode()

    @property
    def replay(self) -> str:
        """The replay's id: the same for the same feed, consumer and range."""
        said = [self.feed, self.consumer, str(self.selection.from_ms), str(self.selection.to_ms), self.order]
        return f"{self.feed}.{self.consumer}.{hashlib.sha256(chr(0).join(said).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class ReplayState:
    """How far a replay has come."""

    begin: tuple[ReplayMarker, ...]
    """The begin marker of each partition."""
    place: str
    """Place of the last change sent; empty before the first."""
    counts: tuple[int, ...]
    """Changes sent to each partition."""
    ended: bool
    """True when every partition has its end marker."""

    @property
    def replay(self) -> str:
        """Its id."""
        return self.begin[0].replay

    @property
    def sent(self) -> int:
        """Changes sent."""
        return sum(self.counts)

    @property
    def planned(self) -> int:
        """Changes it was planned to have."""
        return sum(marker.count for marker in self.begin)

    def asked(self, feed: str, consumer: str) -> Asked:
        """What it is of, as its begin markers say."""
        marker = self.begin[0]
        key = marker.order.encode() if marker.order else None
        return Asked(feed, consumer, Selection(marker.from_ms, marker.to_ms, key, frozenset(marker.epochs)))


def state_of(firsts: Sequence[Headers | None], lasts: Sequence[Headers | None]) -> ReplayState | None:
    """Read the state from the headers of the first and the last record of each partition.

    Returns:
        None where nothing was sent: the topic was made, and the begin markers were not committed.

    Raises:
        FatalError: something else than one replay is in the topic.
    """
    if all(first is None for first in firsts):
        return None
    begin = [None if first is None else marker_of(first) for first in firsts]
    markers = tuple(marker for marker in begin if marker is not None and marker.kind == "begin")
    if len(markers) != len(firsts) or len({marker.replay for marker in markers}) != 1 or None in lasts:
        raise FatalError(
            "the topic does not begin as a replay does, in every partition with the same replay's marker",
            hint="something else wrote into it: `feed replay --abort` deletes it, then make the replay again",
        )
    places, counts, ends = [], [], 0
    for last in lasts:
        marker = marker_of(last)
        if marker is None:
            said: Mapping[str, Any] = dict(last or ())
            counts.append(int(said[ORDINAL]) + 1)
            places.append(place_of_headers(last or ()))
        else:
            counts.append(marker.count if marker.kind == "end" else 0)
            ends += marker.kind == "end"
    return ReplayState(markers, max(places, default=""), tuple(counts), ended=ends == len(firsts))


def may_go_on(state: ReplayState, asked: Asked | None, *, resume: bool, consumer: str) -> None:
    """Whether a replay that is there is to be gone on with.

    Args:
        state: the one that is there.
        asked: the range asked for; None when none was given.
        resume: whether that was asked for.
        consumer: the consumer's name, for hints.

    Raises:
        ConfigError: it is not.
    """
    what = f"replay {state.replay} for {consumer}"
    if state.ended:
        raise ConfigError(
            f"{what} is sent whole ({state.sent} changes), and its topic is still there",
            hint=f"`feed replay --group {consumer} --finish` deletes it once the group has read it",
        )
    if not resume:
        raise ConfigError(
            f"{what} is under way: {state.sent} of {state.planned} changes are sent",
            hint=f"`feed replay --group {consumer} --resume` goes on with it (and stops another command that still "
            "sends); `--abort` deletes it",
        )
    if asked is not None and asked.replay != state.replay:
        raise ConfigError(
            f"{what} is under way, and it is of another range than the one given",
            hint=f"`feed replay --group {consumer} --resume` alone goes on with it; `--abort` deletes it",
        )
