"""The statements of a load: one transaction that moves the ledger and the tables together, or nothing. Pure.

    LOCK the ledger ─ check and advance its rows ─ COPY the files ─ check the count ─ MERGE the current state by
    (key, version) ─ INSERT what the history lacks, by event id ─ (the batch commits)

SQL has no assertion, so a check is a cast that fails with words of its own. Redshift's rules that shape the text: MERGE
takes neither an alias nor a subquery nor a condition, keys are not enforced (hence the lock), and only temporary
tables can be emptied without a commit.
"""

# ruff: noqa: S608 - every name and literal is quoted here, and no text of a record becomes SQL: records come by COPY

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from consumers.analytics.loads import Load
from consumers.analytics.tables import (
    Tables,
    definitions,
    from_staged,
    literal,
    names,
    quoted,
    staged_definitions,
)
from schemas.change import Op

MOVED: Final = "ledger rows in place"
"""What the check of the ledger counts; its words in an error say that another loader was faster."""

_LEDGER_KEY: Final = ("cluster_id", "topic_id", "partition_number")


def load_statements(
    tables: Tables, load: Load, *, manifest_url: str, copy_role: str, more: Sequence[str] = ()
) -> list[str]:
    """The batch of one load, in order; ``more`` is done after it, in the same transaction.

    A load without rows only moves the ledger: behind the last record there are markers that hold none.
    """
    rows: list[str] = []
    if load.count:
        rows = [*_stage(tables, load, manifest_url, copy_role), *_merge_current(tables), *_add_history(tables, load)]
    return [f"LOCK TABLE {tables.ledger}", *_move_ledger(tables, load, manifest_url), *rows, *more]


def ledger_query(tables: Tables, topic: str) -> str:
    """The ledger's rows of a topic."""
    columns = ", ".join(_LEDGER_KEY)
    return f"SELECT {columns}, next_offset FROM {tables.ledger} WHERE topic = {literal(topic)}"


def _move_ledger(tables: Tables, load: Load, manifest_url: str) -> list[str]:
    ledger = tables.ledger
    rows = ", ".join(
        f"({literal(part.partition.cluster_id)}, {literal(part.partition.topic_id)}, {part.partition.number}, "
        f"{literal(part.partition.topic)}, {part.start}, {part.end})"
        for part in load.parts
    )
    same_row = " AND ".join(f"{ledger}.{column} = load_offsets.{column}" for column in _LEDGER_KEY)
    in_place = f"""
        SELECT COUNT(*) AS found FROM {ledger} JOIN load_offsets ON {same_row}
        WHERE {ledger}.next_offset = load_offsets.start_offset"""
    create = """
        CREATE TEMP TABLE load_offsets (cluster_id VARCHAR(128), topic_id VARCHAR(128), partition_number INTEGER,
        topic VARCHAR(256), start_offset BIGINT, end_offset BIGINT)"""
    add_missing = f"""
        INSERT INTO {ledger} (cluster_id, topic_id, partition_number, topic, next_offset)
        SELECT cluster_id, topic_id, partition_number, topic, start_offset FROM load_offsets
        WHERE NOT EXISTS (SELECT 1 FROM {ledger} WHERE {same_row})"""
    advance = f"""
        UPDATE {ledger} SET next_offset = load_offsets.end_offset, manifest = {literal(manifest_url)},
        loaded_at = {_timestamp(load.gathered_ms * 1000)} FROM load_offsets WHERE {same_row}"""
    return [
        create,
        f"INSERT INTO load_offsets VALUES {rows}",
        add_missing,
        _check(in_place, len(load.parts), MOVED),
        advance,
    ]


def _stage(tables: Tables, load: Load, manifest_url: str, copy_role: str) -> list[str]:
    return [
        f"CREATE TEMP TABLE load_staging ({staged_definitions(tables.history_columns)})",
        f"COPY load_staging FROM {literal(manifest_url)} IAM_ROLE {literal(copy_role)} FORMAT AS PARQUET MANIFEST",
        _check("SELECT COUNT(*) AS found FROM load_staging", load.count, "rows staged"),
    ]


def _merge_current(tables: Tables) -> list[str]:
    current, columns = tables.current, tables.current_columns
    updates = ", ".join(f"{quoted(column.name)} = load_latest.{quoted(column.name)}" for column in columns)
    latest = f"""
        INSERT INTO load_latest SELECT {from_staged(columns)}, feed_op = {literal(Op.DELETE)} FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY feed_key ORDER BY feed_version DESC, feed_ordinal DESC) AS place
            FROM load_staging) AS ranked
        WHERE place = 1"""
    # a version that is not newer than what is known says nothing new: a replay, or a row of a first load
    known = f"""
        DELETE FROM load_latest USING {current}
        WHERE load_latest.feed_key = {current}.feed_key AND {current}.feed_version >= load_latest.feed_version"""
    merge = f"""
        MERGE INTO {current} USING load_latest ON {current}.feed_key = load_latest.feed_key
        WHEN MATCHED THEN UPDATE SET {updates}, feed_deleted = load_latest.feed_deleted
        WHEN NOT MATCHED THEN INSERT ({names(columns)}, feed_deleted)
        VALUES ({names(columns, "load_latest")}, load_latest.feed_deleted)"""
    return [f"CREATE TEMP TABLE load_latest ({definitions(columns)}, feed_deleted BOOLEAN)", latest, known, merge]


def _add_history(tables: Tables, load: Load) -> list[str]:
    history, columns = tables.history, tables.history_columns
    first, last = load.occurred_us
    # an event has one time, so the history's sort key leaves only the blocks of these times to be searched for its id
    known = f"""
        DELETE FROM load_staging USING {history}
        WHERE load_staging.feed_event_id = {history}.feed_event_id
        AND {history}.feed_occurred_at BETWEEN {_timestamp(first)} AND {_timestamp(last)}"""
    new = f"""
        INSERT INTO {history} ({names(columns)}) SELECT {from_staged(columns)} FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY feed_event_id ORDER BY feed_offset) AS place
            FROM load_staging) AS ranked
        WHERE place = 1"""
    return [known, new]


def _timestamp(at_us: int) -> str:
    """Microseconds since the epoch as a literal, in UTC."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"CAST({literal(f'{at}.{at_us % 1_000_000:06d}')} AS TIMESTAMP)"


def _check(count: str, expected: int, what: str) -> str:
    """A statement that fails unless ``count`` finds ``expected``; its error says what was found of ``what``."""
    complaint = f"{literal(what + ': ')} || CAST(found AS VARCHAR(20)) || {literal(f' instead of {expected}')}"
    return f"""
        SELECT CAST(CASE WHEN found = {expected} THEN '1' ELSE {complaint} END AS INTEGER) AS checked
        FROM ({count}) AS counted"""
