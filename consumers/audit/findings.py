"""What a verification can find of the audit log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What is true of a segment, a digest, or the place between two."""

    VALID = "valid"
    """It is what its successor, or the digest after it, vouches for."""
    INVALID = "invalid"
    """Its bytes are not those that its successor, a digest or a signature vouches for."""
    MISSING = "missing"
    """Segments or digests that a later one counts are not there."""
    GAP = "gap"
    """Ordinals that no segment holds and that the feed never declared as refused; or a broken lineage of shards."""
    HIDDEN = "hidden"
    """A delete marker or a later version hides it; the locked version is still there and was verified."""
    MOVED = "moved"
    """It is genuine, and belongs under another name or in another partition."""
    TRAILING_DATA = "trailing data"
    """Genuine as far as its successor vouches for it, with bytes appended."""
    TRUNCATED = "truncated"
    """Shorter than its successor says; or the chain or the digests end before what is signed or anchored."""
    FORKED = "forked"
    """Two segments, or two digests, claim the same place."""
    UNLOCKED = "unlocked"
    """Object Lock does not protect it (any more)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault."""

    status: Status
    name: str
    detail: str


Found = Callable[[Status, str, str], None]
"""Takes a fault: status, name of the object or folder, detail."""
