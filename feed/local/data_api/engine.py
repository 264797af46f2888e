"""Executes statements, one after the other, in one DuckDB file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import queue
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import duckdb

from feed.local.data_api import checks
from feed.local.data_api.copy import copy
from feed.local.data_api.statements import Busy, Refused, Rows, Statement, Status, SubStatement
from feed.local.data_api.translation import Act, Translated, translate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from sqlglot import exp

log = logging.getLogger(__name__)

MAX_STATEMENTS: Final = 1_000
"""Statements remembered; the oldest ones are forgotten."""

REMEMBERED_S: Final = 24 * 3600
"""So long the Data API remembers a statement and its result."""

TOKEN_S: Final = 8 * 3600
"""So long a client token keeps a statement from running twice."""

MAX_ACTIVE: Final = 500
"""Statements that wait or run (quota of the Data API)."""

MAX_TOKEN: Final = 64
"""Characters of a client token."""

MAX_BATCH: Final = 40
"""SQL statements in one batch (quota of the Data API)."""

MAX_SQL_BYTES: Final = 100 * 1024
"""Size of one statement (quota of the Data API)."""

MAX_ROWS: Final = 100_000
"""Rows of a result. The Data API's own bound is 500 MB; like that one it fails the statement and cuts nothing off."""

MEMORY_LIMIT: Final = "512MB"


class Engine:
    """A database with a queue of statements and one thread, so that transactions are serial, as LOCK makes them.

    Args:
        database: file of the database, made when absent; ``:memory:`` for none.
        s3: reads manifests and files for COPY.
        now: the clock, in seconds.
    """

    def __init__(self, database: str, s3: S3Client, *, now: Callable[[], float] = time.time) -> None:
        if database != ":memory:":
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        self._connection = duckdb.connect(database, config={"memory_limit": MEMORY_LIMIT, "threads": 2})
        self._connection.execute("CREATE SCHEMA IF NOT EXISTS public")  # Redshift's default schema
        self._connection.execute(checks.CATALOG)
        self._s3 = s3
        self._now = now
        self._queue: queue.Queue[Statement | None] = queue.Queue()  # bounded by MAX_ACTIVE
        self._lock = threading.Lock()
        self._statements: OrderedDict[str, Statement] = OrderedDict()
        self._tokens: dict[str, tuple[str, str]] = {}
        self.before: Callable[[Statement, int], None] = lambda _statement, _position: None
        """Called in the engine's thread before each SQL statement and, with the batch's length, before its COMMIT.
        Tests stop or fail here."""
        self._thread = threading.Thread(target=self._work, name="data-api", daemon=True)
        self._thread.start()

    def submit(self, sqls: Sequence[str], *, batch: bool, target: Mapping[str, str], token: str = "") -> Statement:
        """Queue statements; a batch is one transaction.

        Raises:
            Refused: a quota is exceeded, or the token was used with other statements.
        """
        if not 1 <= len(sqls) <= MAX_BATCH:
            raise Refused(f"1 validation error detected: Value at 'sqls' must have from 1 to {MAX_BATCH} items")
        if any(len(sql.encode()) > MAX_SQL_BYTES for sql in sqls):
            raise Refused(f"Query string is longer than {MAX_SQL_BYTES} bytes")
        if len(token) > MAX_TOKEN:
            raise Refused(f"Value at 'clientToken' must have at most {MAX_TOKEN} characters")
        content = hashlib.sha256(json.dumps([list(sqls), sorted(target.items())]).encode()).hexdigest()
        with self._lock:
            self._forget_old()
            if token in self._tokens:
                known, before = self._tokens[token]
                if before != content:
                    raise Refused("The client token was used with other parameters")
                return self._statements[known]
            if sum(not statement.done.is_set() for statement in self._statements.values()) >= MAX_ACTIVE:
                raise Busy(f"Active statements exceeded the allowed quota ({MAX_ACTIVE})")
            statement = _new(sqls, batch=batch, target=target, now=self._now())
            self._statements[statement.id] = statement
            if token:
                self._tokens[token] = (statement.id, content)
        self._queue.put(statement)
        return statement

    def cancel(self, statement_id: str) -> None:
        """Stop a statement; nothing of its batch stays.

        Raises:
            Refused: it has ended.
        """
        statement = self.find(statement_id)
        if statement is None or statement.done.is_set():
            raise Refused(f"Could not cancel a query that is already in a final state with ID: {statement_id}")
        statement.cancelled = True
        if statement.status is Status.STARTED:
            self._connection.interrupt()

    def find(self, statement_id: str) -> Statement | None:
        """The statement with this id; ids of parts of a batch (``<id>:2``) find the whole."""
        with self._lock:
            self._forget_old()
        return self._statements.get(statement_id.partition(":")[0])

    def statements(self) -> list[Statement]:
        """All that are remembered, the oldest first."""
        with self._lock:
            return list(self._statements.values())

    def close(self) -> None:
        """End the thread after what is queued, and close the file."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _forget_old(self) -> None:
        now, held = self._now(), self._statements
        while held:
            oldest = next(iter(held.values()))
            if now - oldest.created_at < REMEMBERED_S and len(held) < MAX_STATEMENTS:
                break
            del held[oldest.id]
        self._tokens = {
            token: (known, content)
            for token, (known, content) in self._tokens.items()
            if known in held and now - held[known].created_at < TOKEN_S
        }

    def _work(self) -> None:
        while (statement := self._queue.get()) is not None:
            started_ns = time.perf_counter_ns()
            statement.status = Status.STARTED
            try:
                self._run(statement)
                statement.status = Status.FINISHED
            except (Refused, duckdb.Error) as error:
                self._fail(statement, str(error))
                if statement.cancelled:
                    statement.status, statement.error = Status.ABORTED, "Query cancelled on user's request"
            except Exception as error:  # a fault here must answer the client, not end the thread that all wait for
                log.exception("statement failed id=%s", statement.id)
                self._fail(statement, f"internal error: {error!r}")
            self._end_session()
            statement.duration_ns = time.perf_counter_ns() - started_ns
            statement.updated_at = self._now()
            statement.done.set()

    def _run(self, statement: Statement) -> None:
        self._connection.execute("BEGIN")
        for position, sub in enumerate(statement.subs):
            sub.status = Status.STARTED
            self.before(statement, position)
            if statement.cancelled:
                raise Refused("ERROR: Query cancelled on user's request")
            self._step(sub, translate(sub.sql))
            sub.status = Status.FINISHED
        self.before(statement, len(statement.subs))
        self._connection.execute("COMMIT")

    def _step(self, sub: SubStatement, translated: Translated) -> None:
        connection, tree = self._connection, translated.tree
        match translated.act:
            case Act.LOCK:
                checks.lock(connection, translated.tables)
                return
            case Act.COPY:
                copy(connection, self._s3, cast("exp.Copy", tree))
                return
            case Act.REPLACE_VIEW:
                checks.replace_view(connection, cast("exp.Create", tree).this.sql("duckdb"), translated.sql)
                return
            case Act.MERGE:
                checks.merge(connection, cast("exp.Merge", tree))
            case Act.DROP_TABLE:
                checks.drop_table(connection, cast("exp.Drop", tree))
            case Act.COMMIT_FIRST:
                connection.execute("COMMIT")
                connection.execute("BEGIN")
            case _:
                pass
        result = connection.execute(translated.sql)
        if translated.act is Act.QUERY:
            columns = [(column[0], str(column[1])) for column in result.description or []]
            rows = result.fetchmany(MAX_ROWS + 1)
            if len(rows) > MAX_ROWS:
                raise Refused(f"ERROR: the result is larger than the Data API gives ({MAX_ROWS} rows here)")
            sub.rows = Rows(columns, rows)

    def _fail(self, statement: Statement, reason: str) -> None:
        statement.status, statement.error = Status.FAILED, reason
        for sub in statement.subs:
            if sub.status is Status.STARTED:
                sub.status, sub.error = Status.FAILED, reason
            elif sub.status is Status.SUBMITTED:
                sub.status = Status.ABORTED
        with contextlib.suppress(duckdb.Error):  # there may be no transaction any more
            self._connection.execute("ROLLBACK")

    def _end_session(self) -> None:
        """The Data API's session ends with the batch, and its temporary tables with it."""
        found = self._connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_type = 'LOCAL TEMPORARY'"
        ).fetchall()
        for (name,) in found:
            self._connection.execute(f'DROP TABLE temp."{name}"')


def _new(sqls: Sequence[str], *, batch: bool, target: Mapping[str, str], now: float) -> Statement:
    statement_id = str(uuid.uuid4())
    subs = [SubStatement(f"{statement_id}:{position}", sql) for position, sql in enumerate(sqls, start=1)]
    return Statement(statement_id, subs, batch=batch, target=dict(target), created_at=now, updated_at=now)
