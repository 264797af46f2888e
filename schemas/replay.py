"""A replay's topic: its name, the headers of its records, and the markers at both ends of each partition. Pure.

The topic ``<feed>.replay.<consumer>`` holds one replay for one group. Each partition begins with a *begin marker*, goes
on with changes as they were archived, byte for byte, and closes with an *end marker*. A marker has neither key nor
value, so that whoever handles changes passes over it; what it says is in its header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

from schemas.errors import FatalError
from schemas.headers import REPLAY

ORDINAL: Final = "ce_replayordinal"
"""Header of a replayed change: its dense number within its partition of the replay, from 0."""

MARKER: Final = "ce_replaymarker"
"""Header of a marker: a JSON object, see :class:`ReplayMarker`."""

NO_OFFSET: Final = -1
"""``ReplayMarker.until`` of a replay that vouches for nothing: of one order."""


_NOTE: Final = "at_ms="


def commit_note(at_ms: int) -> str:
    """What a consumer notes with a committed offset: no record behind it was written before ``at_ms``."""
    return f"{_NOTE}{at_ms}"


def noted_ms(note: str | None) -> int | None:
    """The inverse; None where there is no such note."""
    text = (note or "").removeprefix(_NOTE)
    return int(text) if text != note and text.isdigit() else None


def replay_topic(feed: str, consumer: str) -> str:
    """The topic of a consumer's replay; in the consumer's region, and never mirrored."""
    return f"{feed}.replay.{consumer}"


def replay_group(group: str) -> str:
    """The group that reads the replay beside ``group``: offsets of its own, so that neither holds up the other."""
    return f"{group}.replay"


@dataclass(frozen=True, slots=True)
class ReplayMarker:
    """What a marker says."""

    kind: Literal["begin", "end"]
    replay: str
    """Which replay it is."""
    from_ms: int
    to_ms: int
    """Event times of the range: from ``from_ms`` on, before ``to_ms``."""
    order: str
    """The order whose changes alone are replayed; empty for all."""
    until: int
    """Offset of the *live* partition of the same number: every change below it that happened from ``from_ms`` on is in
    the replay. :data:`NO_OFFSET` when nothing is vouched for."""
    count: int
    """Begin: changes planned for this partition. End: changes that stand before it."""
    epochs: tuple[int, ...] = ()
    """Snapshots that are replayed whole, and whose end markers (:mod:`schemas.marker`) therefore stand in it."""

    def headers(self) -> list[tuple[str, bytes]]:
        """The headers of the marker's record."""
        said = asdict(self)
        if not self.epochs:  # as earlier versions wrote it, and read it
            del said["epochs"]
        return [(REPLAY, self.replay.encode()), (MARKER, json.dumps(said, separators=(",", ":")).encode())]


def marker_of(headers: Iterable[tuple[str, bytes | None]] | None) -> ReplayMarker | None:
    """The marker that a record is; None when it is none.

    Raises:
        FatalError: a newer version wrote it.
    """
    text = next((value for name, value in headers or () if name == MARKER), None)
    if text is None:
        return None
    try:
        said = json.loads(text)
        return ReplayMarker(**said | {"epochs": tuple(said.get("epochs", ()))})
    except (ValueError, TypeError) as error:
        raise FatalError(
            f"a marker of a replay cannot be read: {error}", hint="a newer version made the replay; deploy it here too"
        ) from error
