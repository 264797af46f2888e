"""A bucket in memory with the rules that the sinks rely on, and a place to fail or die at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.s3 import ObjectHead, ObjectStore, PutOutcome, StoredObject, Version


class Killed(BaseException):
    """The process died here."""


class InlineExecutor(Executor):
    """Runs work at once, in the caller's thread: a simulation has no threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Killed:
            raise
        except Exception as error:  # noqa: BLE001 - a future carries whatever was raised
            future.set_exception(error)
        return future


class MemoryStore(ObjectStore):
    """An ObjectStore whose objects live here; ``before`` and ``after`` are called around each PUT with its key."""

    def __init__(self, objects: dict[str, list[StoredObject]] | None = None) -> None:
        self.bucket = "memory"
        self.objects: dict[str, list[StoredObject]] = objects if objects is not None else {}
        self.before: Callable[[str], None] = lambda key: None
        self.after: Callable[[str], None] = lambda key: None
        self.puts = 0
        self.calls: list[tuple[str, str]] = []

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> PutOutcome:
        self.calls.append(("put", key))
        self.before(key)
        if key in self.objects:
            return PutOutcome.EXISTS
        self.plant(key, body, metadata, retain_until=retain_until)
        self.puts += 1
        self.after(key)
        return PutOutcome.CREATED

    def plant(
        self, key: str, body: bytes, metadata: Mapping[str, str] | None = None, *, retain_until: datetime | None = None
    ) -> None:
        """Write without any condition, as an attacker with write rights can: a new version."""
        versions = self.objects.setdefault(key, [])
        head = ObjectHead(
            key=key,
            size=len(body),
            modified_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=len(versions)),
            metadata=dict(metadata or {}),
            retain_until=retain_until,
            lock_mode="COMPLIANCE" if retain_until else "",
            version_id=str(len(versions)),
        )
        versions.append(StoredObject(head, body))

    def get(self, key: str, *, version_id: str = "") -> StoredObject | None:
        self.calls.append(("get", key))
        versions = self.objects.get(key)
        if not versions:
            return None
        return versions[int(version_id)] if version_id else versions[-1]

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        self.calls.append(("range", key))
        versions = self.objects.get(key)
        return versions[-1].body[start : start + length] if versions else None

    def head(self, key: str, *, version_id: str = "") -> ObjectHead | None:
        self.calls.append(("head", key))
        versions = self.objects.get(key)
        return versions[-1].head if versions else None

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        self.calls.append(("list", prefix))
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > start_after:
                yield self.objects[key][-1].head

    def folders(self, prefix: str) -> Iterator[str]:
        self.calls.append(("folders", prefix))
        rests = {key[len(prefix) :] for key in self.objects if key.startswith(prefix)}
        yield from {f"{prefix}{rest.partition('/')[0]}/" for rest in rests if "/" in rest}

    def version_folders(self, prefix: str) -> Iterator[str]:
        self.calls.append(("version folders", prefix))
        yield from self.folders(prefix)

    def versions(self, prefix: str, *, start_after: str = "") -> Iterator[Version]:
        self.calls.append(("versions", prefix))
        for key, versions in self.objects.items():
            if key.startswith(prefix) and key > start_after:
                for stored in versions:
                    head = stored.head
                    yield Version(key, head.version_id, stored is versions[-1], False, head.size, head.modified_at)
