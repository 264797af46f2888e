"""A range of time in the audit log, between two of its digests: found in a few reads, however long the log is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.s3 import ObjectStore
from consumers.audit.digests import SignedDigest, digest_folder, number_of, read_digest
from consumers.audit.segments import Link
from consumers.audit.verify import WHOLE, Span
from consumers.audit.versions import Named, names_in, read_first
from consumers.runtime.contracts import Partition
from schemas.errors import ConfigError, FatalError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The digests around a range: what was stored between them was stored in the range, or just beside it."""

    after: SignedDigest | None = None
    """The last digest made at or before the range's begin; None: the range begins with the log."""
    through: SignedDigest | None = None
    """The first digest made at or after the range's end; None: the range ends with the log."""

    def span_of(self, partition: int) -> Span:
        """The part of a partition's chain that lies between."""
        return Span(_head(self.after, partition), _head(self.through, partition)) if self.bounded else WHOLE

    @property
    def bounded(self) -> bool:
        """False when this is the whole log."""
        return self.after is not None or self.through is not None

    def not_yet(self, partition: int) -> bool:
        """True when the partition had no segment at the end of the range."""
        return self.through is not None and partition not in self.through.digest.heads


def bounds_of(
    store: ObjectStore, prefix: str, partition: Partition, *, from_ms: int | None, to_ms: int | None
) -> Bounds:
    """The digests around ``[from_ms, to_ms)``, by halving the list of their names.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the segments' names.
        partition: any partition of the topic.
        from_ms: None: from the log's first segment.
        to_ms: None: to its last.

    Raises:
        ConfigError: a range is asked for and there are no digests.
    """
    if from_ms is None and to_ms is None:
        return Bounds()
    names = [named for named in names_in(store, digest_folder(prefix, partition)) if number_of(named.name) is not None]
    if not names:
        raise ConfigError(
            f"{partition.topic} has no digests, so nothing vouches for where a range begins",
            hint="verify the whole log, or sign digests (signing_kms_key or signing_key_file of the audit consumer)",
        )
    search = _Search(store, names)
    return Bounds(
        after=search.last_at_or_before(from_ms) if from_ms is not None else None,
        through=search.first_at_or_after(to_ms) if to_ms is not None else None,
    )


def times_around(
    store: ObjectStore, prefix: str, partition: Partition, links: tuple[int, int]
) -> tuple[int | None, int | None]:
    """Between which digests some segments of a partition's chain were stored.

    Args:
        store: the bucket, with read rights.
        prefix: first part of the segments' names.
        partition: whose chain.
        links: numbers of the first and the last of the segments.

    Returns:
        The time of the last digest before the first of them, and of the first digest that has the last of them; None
        where there is none.
    """
    names = [named for named in names_in(store, digest_folder(prefix, partition)) if number_of(named.name) is not None]
    search, first, last = _Search(store, names), links[0], links[1]

    def reached(signed: SignedDigest) -> int:
        head = _head(signed, partition.number)
        return -1 if head is None else head.number

    before = search.last_before(search.count(lambda signed: reached(signed) < first))
    behind = search.first_from(search.count(lambda signed: reached(signed) < last))
    return (before.digest.to_ms if before else None), (behind.digest.to_ms if behind else None)


class _Search:
    """Digests by their time; one that cannot be read is passed over here, and found by the verification."""

    def __init__(self, store: ObjectStore, names: list[Named]) -> None:
        self._store = store
        self._names = names
        self._read: dict[int, SignedDigest | None] = {}

    def last_at_or_before(self, at_ms: int) -> SignedDigest | None:
        """None when the log's first digest is later."""
        return self.last_before(self.count(lambda signed: signed.digest.to_ms <= at_ms))

    def first_at_or_after(self, at_ms: int) -> SignedDigest | None:
        """None when the log's last digest is earlier."""
        return self.first_from(self.count(lambda signed: signed.digest.to_ms < at_ms))

    def last_before(self, end: int) -> SignedDigest | None:
        """The last readable digest below a position of the list."""
        for position in range(end - 1, -1, -1):
            found = self._at(position)
            if found is not None:
                return found
        return None

    def first_from(self, begin: int) -> SignedDigest | None:
        """The first readable digest from a position of the list on."""
        for position in range(begin, len(self._names)):
            found = self._at(position)
            if found is not None:
                return found
        return None

    def count(self, early: Callable[[SignedDigest], bool]) -> int:
        """How many digests are early: all of them up to one, and none from there on."""
        low, high = 0, len(self._names)
        while low < high:
            middle = probe = (low + high) // 2
            while probe > low and self._at(probe) is None:
                probe -= 1
            found = self._at(probe)
            if found is not None and early(found):
                low = middle + 1
            else:
                high = probe if found is not None else middle
        return low

    def _at(self, position: int) -> SignedDigest | None:
        if position not in self._read:
            named = self._names[position]
            stored = read_first(self._store, named)
            try:
                self._read[position] = read_digest(stored.body, named.name)[0] if stored is not None else None
            except FatalError:
                self._read[position] = None
        return self._read[position]


def _head(signed: SignedDigest | None, partition: int) -> Link | None:
    heads: Mapping[int, Link] = signed.digest.heads if signed is not None else {}
    return heads.get(partition)
