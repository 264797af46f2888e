"""The SQL of the reports, and the check that a query only reads. Pure: SQL as text.

Only what Redshift and DuckDB both have is used. Times are the items' own (``updated_at``): the stream's are whole
seconds, and whole minutes on DynamoDB Local. A delete has no item, so its time is when it was captured.
"""

# ruff: noqa: S608 - the names are the feed's own, checked by its settings

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from schemas.errors import ConfigError

BUCKETS: Final = ("second", "minute", "hour", "day")
"""What times may be cut to."""

_WORDS: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|[A-Za-z_]\w*|;", re.DOTALL)
_READS: Final = frozenset({"SELECT", "WITH", "EXPLAIN", "SHOW"})
_WRITES: Final = frozenset(
    {"ALTER", "CALL", "COPY", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "INTO", "LOCK", "MERGE", "REVOKE", "SET"}
    | {"TRUNCATE", "UNLOAD", "UPDATE", "VACUUM"}
)


@dataclass(frozen=True, slots=True)
class Report:
    """One report; ``sql`` has the places ``{history}`` and ``{bucket}``."""

    name: str
    title: str
    says: str
    """What it answers, in a sentence."""
    sql: str


_STATUS_CHANGES: Final = """\
WITH changes AS (
    SELECT feed_key, feed_version, status, COALESCE(updated_at, feed_captured_at) AS moment,
        LAG(status) OVER (PARTITION BY feed_key ORDER BY feed_version) AS before
    FROM {history}
)"""

REPORTS: Final = (
    Report(
        "orders-by-status",
        "Orders by status",
        "How many orders stood in each status at the end of each time.",
        _STATUS_CHANGES
        + """,
moves AS (
    SELECT DATE_TRUNC('{bucket}', moment) AS moment, status, 1 AS orders
    FROM changes WHERE status IS NOT NULL
    UNION ALL
    SELECT DATE_TRUNC('{bucket}', moment) AS moment, before AS status, -1 AS orders
    FROM changes WHERE before IS NOT NULL
),
sums AS (
    SELECT moment, status, SUM(orders) AS orders FROM moves GROUP BY moment, status
)
SELECT moment, status, SUM(orders) OVER (PARTITION BY status ORDER BY moment ROWS UNBOUNDED PRECEDING) AS orders
FROM sums
ORDER BY moment, status""",
    ),
    Report(
        "time-in-status",
        "Time in each status",
        "How long orders stayed in a status before they left it: so long at most a tenth, half, nine tenths of them.",
        _STATUS_CHANGES
        + """,
entries AS (
    SELECT status, moment, LEAD(moment) OVER (PARTITION BY feed_key ORDER BY feed_version) AS left_at
    FROM changes
    WHERE before IS NULL OR status IS NULL OR status <> before
),
stays AS (
    SELECT status, DATEDIFF(millisecond, moment, left_at) AS stayed_ms
    FROM entries
    WHERE status IS NOT NULL AND left_at IS NOT NULL
)
SELECT status, COUNT(*) AS orders,
    PERCENTILE_CONT(0.1) WITHIN GROUP (ORDER BY stayed_ms) AS p10_ms,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY stayed_ms) AS p50_ms,
    PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY stayed_ms) AS p90_ms
FROM stays
GROUP BY status
ORDER BY p50_ms DESC""",
    ),
    Report(
        "throughput",
        "Changes",
        "How many changes were written in each time, by what they did.",
        """\
SELECT DATE_TRUNC('{bucket}', COALESCE(updated_at, feed_captured_at)) AS moment,
    SUM(CASE WHEN feed_op = 'c' THEN 1 ELSE 0 END) AS created,
    SUM(CASE WHEN feed_op = 'u' THEN 1 ELSE 0 END) AS updated,
    SUM(CASE WHEN feed_op = 'd' THEN 1 ELSE 0 END) AS deleted,
    COUNT(*) AS changes
FROM {history}
GROUP BY 1
ORDER BY 1""",
    ),
)
"""All of them, in the order in which they are shown."""


def sql_of(report: Report, *, history: str, bucket: str) -> str:
    """A report's SELECT over a history table.

    Raises:
        ConfigError: times cannot be cut to ``bucket``.
    """
    if bucket not in BUCKETS:
        raise ConfigError(f"times cannot be cut to a {bucket}", hint=f"one of {', '.join(BUCKETS)}")
    return report.sql.format(history=history, bucket=bucket)


def read_only(sql: str) -> None:
    """Refuse a statement that writes, before the warehouse sees it.

    It reads words, not rights: a function that acts is not seen. In production the command's own user should have
    SELECT and nothing else.

    Raises:
        ConfigError: it is more than one statement, or not a query.
    """
    words = [word.upper() for word in _WORDS.findall(sql) if word[:1] not in {"'", '"', "-", "/"}]
    while words and words[-1] == ";":
        words.pop()
    hint = "this command only reads; use Redshift's query editor for anything else"
    if ";" in words:
        raise ConfigError("one statement at a time: a semicolon stands between two", hint=hint)
    if not words or words[0] not in _READS:
        raise ConfigError(f"not a query: it begins with {words[0] if words else 'nothing'}", hint=hint)
    writing = [word for word in words if word in _WRITES]
    if writing:
        raise ConfigError(f"a query does not {writing[0]}: nothing was sent to the warehouse", hint=hint)
