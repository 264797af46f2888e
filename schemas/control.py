"""Control events: what a feed says about itself, on ``<feed>.control``, in the same transactions as the changes it is about.

With the ordinals that every change carries, they let anyone prove in any region or store that all was delivered once:
a shard's ordinals are 0 … ``last_ordinal`` of its ``shard-end`` (less the refused ones), and the ``parent`` of its
``shard-start`` has an end of its own, a gap, or lay before the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ControlKind(StrEnum):
    """What a control event says."""

    SHARD_START = "shard-start"
    """The first position of a shard is written; ``parent`` names its parent, or is empty when it has none or it lay before the baseline."""
    SHARD_END = "shard-end"
    """The shard is finished; ``ordinal`` is its last one, -1 when it had no change."""
    REFUSED = "refused"
    """The change with this ``ordinal`` went to the dead letters, for ``reason``."""
    GAP = "gap"
    """Changes are, or may be, missing: see ``reason``, ``certain``, ``sequence`` (last read) and ``to_sequence``."""
    EPOCH = "epoch"
    """A slot publishes under this ``epoch`` from here on."""
    SNAPSHOT_COMPLETE = "snapshot-complete"
    """A first load or reload under ``epoch`` is published whole."""


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """One statement of the feed about itself."""

    kind: ControlKind
    feed: str
    at_ms: int
    stream: str = ""
    shard: str = ""
    parent: str = ""
    epoch: int = 0
    slot: int = -1
    ordinal: int = -1
    sequence: int | None = None
    to_sequence: int | None = None
    certain: bool = True
    reason: str = ""
