"""Shards that a test rolls, splits and ages: edits of the SQLite file of a running DynamoDB Local.

The server closes a shard by itself only after hours. Its streams are plain rows, though (``ss`` the shards, ``us`` the
records), and it looks at them anew with each request: what is written there is what a reader sees. An edit takes some
milliseconds; a put at that moment may be answered 500 without having been applied, which every SDK tries again.

What holds here as on AWS: a child begins after its parent's last record, and a key's records go to the child of the
shard that had them before. The server itself knows one open shard; a trigger in the file spreads the records by a hash
of the key: a shard has the keys whose hash leaves ``Share`` when divided by ``Of``. A split of a share into *n* is a
refinement of the hash, so that keys never cross.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUSY_WITHIN_S = 10.0
HOUR_MS = 3_600_000

# The record's first string key (the keys come first in its JSON). The server's SQLite has no JSON functions.
_KEY_HASH = """(
  SELECT coalesce(unicode(substr(k, -1)), 0) + 3 * length(k) + 7 * coalesce(unicode(substr(k, -2, 1)), 0)
  FROM (SELECT substr(tail, 1, instr(tail, '"') - 1) AS k
        FROM (SELECT substr(text, instr(text, '{"S":"') + 6) AS tail
              FROM (SELECT CAST(NEW.StreamRecord AS TEXT) AS text))))"""

_OPEN_SHARES = """SELECT shares.ShardID AS ShardID, shares.Share AS Share, shares.Of AS Of
  FROM feed_shares AS shares JOIN ss ON ss.ShardID = shares.ShardID
  WHERE ss.StreamID = NEW.StreamID AND ss.DeletionDateTime IS NULL"""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS feed_shares (ShardID TEXT PRIMARY KEY, Share INTEGER NOT NULL, Of INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS feed_share AFTER INSERT ON us WHEN (SELECT count(*) FROM ({_OPEN_SHARES})) > 0 BEGIN
  UPDATE us SET ShardID = (SELECT ShardID FROM ({_OPEN_SHARES}) WHERE Share = {_KEY_HASH} % Of)
  WHERE SequenceNumber = NEW.SequenceNumber;
END;
-- Writers at the same time commit slightly out of the order of their numbers: a fresh child begins as low as it must.
CREATE TRIGGER IF NOT EXISTS feed_lower AFTER UPDATE OF ShardID ON us BEGIN
  UPDATE ss SET InitialSequenceNumberStart = NEW.SequenceNumber
  WHERE ShardID = NEW.ShardID AND InitialSequenceNumberStart > NEW.SequenceNumber;
END;
"""  # noqa: S608 - made of the constants above


@dataclass(frozen=True, slots=True)
class Shard:
    """A row of the server's table of shards."""

    shard_id: str
    parent_id: str | None
    is_open: bool
    first_sequence: int
    last_sequence: int | None


class ShardControl:
    """The shards of one stream; ``database`` is ``DynamoDbLocal.database``."""

    def __init__(
        self, database: Path, stream_arn: str, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._database = database
        self._stream_arn = stream_arn
        self._now_ms = now_ms

    @contextmanager
    def _edit(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._database, timeout=BUSY_WITHIN_S, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()

    def shards(self) -> list[Shard]:
        """All shards of the stream, oldest first."""
        with self._edit() as db:
            rows = db.execute(
                "SELECT ShardID, ParentShardID, DeletionDateTime, InitialSequenceNumberStart, SequenceNumberEnd "
                "FROM ss WHERE StreamID = ? ORDER BY CreationDateTime, ShardID",
                (self._stream_arn,),
            ).fetchall()
        return [Shard(shard, parent, deleted is None, first, last) for shard, parent, deleted, first, last in rows]

    def roll(self, shards: Collection[str] | None = None) -> dict[str, list[str]]:
        """Close open shards (all, or those of ``shards``) and give each one child, as AWS does every four hours.

        Returns:
            Parent → children.
        """
        return self.split(1, shards)

    def split(self, factor: int = 2, shards: Collection[str] | None = None) -> dict[str, list[str]]:
        """Close open shards (all, or those of ``shards``) and give each ``factor`` children, which share its keys.

        Returns:
            Parent → children.
        """
        with self._edit() as db:
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            last = db.execute("SELECT coalesce(max(SequenceNumber), 0) FROM us").fetchone()[0]
            families: dict[str, list[str]] = {}
            for parent, first, share, of in self._open_shares(db):
                if shards is not None and parent not in shards:
                    continue
                own = db.execute("SELECT max(SequenceNumber) FROM us WHERE ShardID = ?", (parent,)).fetchone()[0]
                # as on AWS: the number of the shard's own last record, its first number where it has none
                self._close(db, parent, first if own is None else own)
                # a shard that never had a record has not used its first number: its child gets it
                begin = max(last + 1, first)
                families[parent] = [
                    self._open(db, parent, begin, (share + child * of, of * factor)) for child in range(factor)
                ]
            return families

    def _open_shares(self, db: sqlite3.Connection) -> list[tuple[str, int, int, int]]:
        """Open shards with their first sequence number and their share of the keys: all, until the first split."""
        rows = db.execute(
            "SELECT ss.ShardID, ss.InitialSequenceNumberStart, coalesce(Share, 0), coalesce(Of, 1) FROM ss "
            "LEFT JOIN feed_shares AS shares ON shares.ShardID = ss.ShardID "
            "WHERE ss.StreamID = ? AND ss.DeletionDateTime IS NULL ORDER BY Of, Share, ss.ShardID",
            (self._stream_arn,),
        )
        return [(str(shard), int(first), int(share), int(of)) for shard, first, share, of in rows]

    def _close(self, db: sqlite3.Connection, shard: str, last_sequence: int) -> None:
        db.execute(
            "UPDATE ss SET DeletionDateTime = ?, SequenceNumberEnd = ? WHERE ShardID = ?",
            (self._now_ms(), last_sequence, shard),
        )

    def _open(self, db: sqlite3.Connection, parent: str, first_sequence: int, share: tuple[int, int]) -> str:
        now = self._now_ms()
        child = f"shardId-{now:020d}-{uuid.uuid4().hex[:8]}"
        db.execute(
            "INSERT INTO ss VALUES (?, ?, ?, NULL, ?, NULL, ?)", (self._stream_arn, child, now, first_sequence, parent)
        )
        db.execute("INSERT INTO feed_shares VALUES (?, ?, ?)", (child, *share))
        return child

    def age(self, hours: float, shards: Sequence[str] | None = None) -> None:
        """Make records and shards look ``hours`` older, all of them or those of ``shards``.

        Past 24 hours the server trims: reading answers TrimmedDataAccess; a closed shard is still listed, and refused.
        """
        ms = int(hours * HOUR_MS)
        chosen = [shard.shard_id for shard in self.shards()] if shards is None else list(shards)
        with self._edit() as db:
            for shard in chosen:
                db.execute("UPDATE us SET CreationDateTime = CreationDateTime - ? WHERE ShardID = ?", (ms, shard))
                db.execute(
                    "UPDATE ss SET CreationDateTime = CreationDateTime - ?, DeletionDateTime = DeletionDateTime - ? "
                    "WHERE ShardID = ?",
                    (ms, ms, shard),
                )

    def forget(self, shards: Sequence[str]) -> None:
        """Take shards and their records off the stream, as AWS does with closed ones after 24 hours."""
        with self._edit() as db:
            for shard in shards:
                db.execute("DELETE FROM us WHERE ShardID = ?", (shard,))
                db.execute("DELETE FROM ss WHERE ShardID = ?", (shard,))


def _statements(script: str) -> list[str]:
    """The script's statements one by one: ``executescript`` would commit before it begins."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
