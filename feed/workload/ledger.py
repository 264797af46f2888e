"""The ledger: every write that the table acknowledged, one JSON object a line, kept by the workload only.

The first line says what run it is, the last one that the run ended and how. A line is in the operating system's hands
within ``SYNC_INTERVAL_MS`` of the acknowledgement and on disk at the same moment (one fsync for all lines of the
interval), so a power cut takes at most that much; a workload that is killed takes at most that much as well, and its
ledger has no last line, which :mod:`feed.verify` says.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import orjson

from schemas.change import Op
from schemas.errors import ConfigError

SYNC_INTERVAL_MS: Final = 1_000
"""How often what was appended is written out and synced; the writer's loop calls :meth:`Ledger.sync`."""

FORMAT: Final = 1
"""Of the file; another number is refused."""


class Outcome(StrEnum):
    """How the truth about a write is known."""

    ACKNOWLEDGED = "acknowledged"
    """The table said yes."""
    READ_BACK = "read-back"
    """The answer was lost or an error; the item, read back, shows that the write stands."""
    UNKNOWN = "unknown"
    """Neither an answer nor the item could be had within the bound; nothing more was written to this key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write. ``op`` is what the stream must say of it; None when it must say nothing (a no-op)."""

    order: str
    number: int
    op: Op | None
    status: str
    digest: int
    """:func:`feed.workload.digest.image_digest` of the item after the write; 0 after a delete."""
    called_ms: int
    done_ms: int
    outcome: Outcome = Outcome.ACKNOWLEDGED
    burst: int = 0
    """Number of the A→B→C burst within the order's lane; 0 for none."""


class Ledger:
    """Appends entries; safe from many threads."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self.entries = 0
        self._lock = threading.Lock()
        # a ledger of an earlier run is never overwritten
        self._file = path.open("xb", buffering=1 << 20)
        self._write({"format": FORMAT, **run})
        self.sync()

    def append(self, entry: Entry) -> None:
        """Take one entry; on disk after the next :meth:`sync`."""
        line = orjson.dumps(
            [
                entry.order,
                entry.number,
                entry.op,
                entry.status,
                f"{entry.digest:016x}",
                entry.called_ms,
                entry.done_ms,
                entry.outcome,
                entry.burst,
            ],
            option=orjson.OPT_APPEND_NEWLINE,
        )
        with self._lock:
            self._file.write(line)
            self.entries += 1

    def sync(self) -> None:
        """Bring all that was appended to disk."""
        with self._lock:
            self._file.flush()
        os.fsync(self._file.fileno())

    def close(self, ended: str) -> None:
        """Write the last line: how many entries, and how the run ended (``done``, ``stopped``, or the error)."""
        self._write({"entries": self.entries, "ended": ended})
        self.sync()
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


class LedgerReader:
    """Reads a ledger in one pass; ``run`` is its first line, ``ended`` its last, known once the entries are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended: str | None = None
        """How the run ended; None when the ledger has no last line."""
        try:
            with path.open("rb") as file:
                self.run: dict[str, Any] = orjson.loads(file.readline())
        except (OSError, orjson.JSONDecodeError) as error:
            raise ConfigError(f"no ledger at {path}: {error}", hint="name the file that the workload wrote") from error
        if self.run.get("format") != FORMAT:
            raise ConfigError(
                f"{path} is not a ledger of format {FORMAT}", hint="name the file that the workload wrote"
            )

    def __iter__(self) -> Iterator[Entry]:
        with self.path.open("rb") as file:
            file.readline()
            for count, line in enumerate(file):
                if not line.endswith(b"\n"):
                    return  # cut off while it was written: the workload died
                fields = orjson.loads(line)
                if isinstance(fields, dict):
                    self._end(fields, count)
                    return
                yield _entry(fields)

    def _end(self, last: dict[str, Any], count: int) -> None:
        if last["entries"] != count:
            raise ConfigError(
                f"{self.path} has {count} entries where its last line says {last['entries']}",
                hint="the file was changed after the run; it can prove nothing",
            )
        self.ended = last["ended"]

    @classmethod
    def whole(cls, path: Path) -> tuple[Self, list[Entry]]:
        """The reader and all entries: for small ledgers and tests."""
        reader = cls(path)
        return reader, list(reader)


def _entry(fields: list[Any]) -> Entry:
    order, number, op, status, digest, called_ms, done_ms, outcome, burst = fields
    return Entry(
        order,
        number,
        None if op is None else Op(op),
        status,
        int(digest, 16),
        called_ms,
        done_ms,
        Outcome(outcome),
        burst,
    )
