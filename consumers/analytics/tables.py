"""The warehouse's tables: their names and definitions. Pure: SQL as text."""

# ruff: noqa: S608 - every name and literal is quoted here, and none comes from a record

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.analytics.columns import FEED_COLUMNS, SUPER, Column

CURRENT_FEED = ("feed_key", "feed_version", "feed_event_id", "feed_op", "feed_occurred_at")
"""The feed's columns that the current state has as well; besides them it has ``feed_deleted``."""


def quoted(name: str) -> str:
    """An identifier, quoted: a field may be called ``order`` or ``user``."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A text literal."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one feed in one schema of the warehouse."""

    schema: str
    name: str
    image: tuple[Column, ...]

    @property
    def ledger(self) -> str:
        """Next offset of each partition: the guard of every load. One for all feeds of the schema."""
        return f"{self.schema}.load_ledger"

    @property
    def current(self) -> str:
        """One row for each item, deleted ones included."""
        return f"{self.schema}.{self.name}_current"

    @property
    def history(self) -> str:
        """One row for each change."""
        return f"{self.schema}.{self.name}_history"

    @property
    def view(self) -> str:
        """The living items."""
        return f"{self.schema}.{self.name}"

    @property
    def history_columns(self) -> tuple[Column, ...]:
        """Columns of the history, and of the staged files, in order."""
        return (*FEED_COLUMNS, *self.image)

    @property
    def current_columns(self) -> tuple[Column, ...]:
        """Columns of the current state that come from the staged rows."""
        return (*(column for column in FEED_COLUMNS if column.name in CURRENT_FEED), *self.image)

    def create(self) -> list[str]:
        """Statements that create what is not there. Keys are hints to the planner: Redshift enforces none."""
        ledger = f"""
            CREATE TABLE IF NOT EXISTS {self.ledger} (
                cluster_id VARCHAR(128) NOT NULL, topic_id VARCHAR(128) NOT NULL, partition_number INTEGER NOT NULL,
                topic VARCHAR(256), next_offset BIGINT NOT NULL, manifest VARCHAR(2048), loaded_at TIMESTAMP,
                PRIMARY KEY (cluster_id, topic_id, partition_number))
            DISTSTYLE ALL"""
        current = f"""
            CREATE TABLE IF NOT EXISTS {self.current} ({definitions(self.current_columns)}, feed_deleted BOOLEAN,
                PRIMARY KEY (feed_key))
            DISTSTYLE KEY DISTKEY (feed_key) SORTKEY (feed_key)"""
        history = f"""
            CREATE TABLE IF NOT EXISTS {self.history} ({definitions(self.history_columns)},
                PRIMARY KEY (feed_event_id))
            DISTSTYLE KEY DISTKEY (feed_key) SORTKEY (feed_occurred_at)"""
        return [ledger, current, history]

    def create_view(self) -> str:
        """The living items, without the feed's bookkeeping."""
        columns = names(self.image)
        return f"CREATE VIEW {self.view} AS SELECT {columns} FROM {self.current} WHERE NOT feed_deleted"


def definitions(columns: Sequence[Column]) -> str:
    """``"a" BIGINT, "b" VARCHAR(10)``."""
    return ", ".join(f"{quoted(column.name)} {column.redshift}" for column in columns)


def staged_definitions(columns: Sequence[Column]) -> str:
    """The same with the types that files are copied into."""
    return ", ".join(f"{quoted(column.name)} {column.staged}" for column in columns)


def from_staged(columns: Sequence[Column]) -> str:
    """``"a", JSON_PARSE("b")``: staged columns as the tables hold them."""
    return ", ".join(
        f"JSON_PARSE({quoted(column.name)})" if column.redshift == SUPER else quoted(column.name) for column in columns
    )


def names(columns: Sequence[Column], table: str = "") -> str:
    """``"a", "b"``, each with its table in front where one is given."""
    dot = f"{table}." if table else ""
    return ", ".join(f"{dot}{quoted(column.name)}" for column in columns)
