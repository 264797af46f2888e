"""The objects of a folder as they were first written, whatever was put on top of them since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final

from connectors.s3 import ObjectStore, StoredObject, Version
from consumers.audit.findings import Found, Status

LOCK_MODE: Final = "COMPLIANCE"


@dataclass(frozen=True, slots=True)
class Named:
    """A name and all its versions, the oldest first."""

    name: str
    versions: tuple[Version, ...]

    @property
    def first(self) -> Version | None:
        """The first body written: create-only, so the writer's own. None when only delete markers are left."""
        return next((version for version in self.versions if not version.delete_marker), None)


def names_in(store: ObjectStore, folder: str, *, after: str = "", through: str = "") -> list[Named]:
    """The names of a folder in their order, hidden ones among them.

    Args:
        store: the bucket.
        folder: ends with ``/``.
        after: only names that sort after it.
        through: only names up to it, itself included; empty: to the end.
    """
    found: dict[str, list[Version]] = {}
    for version in store.versions(folder, start_after=after):
        if version.key > after and (not through or version.key <= through):
            found.setdefault(version.key, []).append(version)
    return [
        # the latest breaks a tie, since times have whole seconds
        Named(name, tuple(sorted(found[name], key=attrgetter("modified_at", "latest"))))
        for name in sorted(found)
    ]


def read_first(store: ObjectStore, named: Named) -> StoredObject | None:
    """The first version's body; None when there is none (any more)."""
    return store.get(named.name, version_id=named.first.version_id) if named.first is not None else None


def first_versions(store: ObjectStore, names: list[Named], *, now: datetime, found: Found) -> Iterator[StoredObject]:
    """Each name in its first version; what hides it, and a lock that is missing or over at ``now``, is reported."""
    for named in names:
        stored = read_first(store, named)
        if len(named.versions) > 1 or stored is None:
            kinds = ", ".join("delete marker" if version.delete_marker else "version" for version in named.versions)
            status = Status.HIDDEN if stored is not None else Status.MISSING
            found(status, named.name, f"written once, and now it has: {kinds}")
        if stored is None:
            continue
        head = stored.head
        if head.lock_mode != LOCK_MODE or head.retain_until is None or head.retain_until < now:
            found(Status.UNLOCKED, named.name, f"lock: {head.lock_mode or 'none'} until {head.retain_until}")
        yield stored
