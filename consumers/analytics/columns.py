"""From a table's image schema to typed columns: Avro type → Redshift type and Parquet type. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import pyarrow as pa

from schemas.errors import ConfigError

TEXT_BYTES: Final = 4_096
"""Width of a text column. Redshift plans memory by declared widths, so it is not the widest possible."""

JSON_BYTES: Final = 65_535
"""Longest JSON text of nested data, and longest binary as text: the widest that VARCHAR has, where it is staged."""

SUPER: Final = "SUPER"
"""Redshift's type for nested data."""

PREFIX: Final = "feed_"
"""Columns with this prefix are the feed's own."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the warehouse's tables."""

    name: str
    redshift: str
    arrow: pa.DataType
    source: str = ""
    """Field of the image; empty for the feed's own columns."""
    convert: Callable[[Any], Any] | None = None
    """From the image's value to the column's; None when it is the same."""
    max_bytes: int = 0
    """Longest text it takes; 0 where it is no text."""
    default: Any = None
    """What an item has that was written before the field was there, as the schema says; None: nothing."""

    @property
    def staged(self) -> str:
        """Its type where files are copied to: a Parquet column of text cannot be copied into SUPER as what it says."""
        return f"VARCHAR({self.max_bytes})" if self.redshift == SUPER else self.redshift


FEED_COLUMNS: Final = (
    Column("feed_event_id", "VARCHAR(512)", pa.string()),
    Column("feed_op", "VARCHAR(8)", pa.string()),
    Column("feed_key", "VARCHAR(4096)", pa.string()),
    Column("feed_version", "VARCHAR(51)", pa.string()),
    Column("feed_shard", "VARCHAR(128)", pa.string()),
    Column("feed_ordinal", "BIGINT", pa.int64()),
    Column("feed_occurred_at", "TIMESTAMP", pa.timestamp("us")),
    Column("feed_captured_at", "TIMESTAMP", pa.timestamp("us")),
    Column("feed_partition", "INTEGER", pa.int32()),
    Column("feed_offset", "BIGINT", pa.int64()),
    Column("feed_too_long", "VARCHAR(4096)", pa.string()),
)
"""What every row of the history says of its change. ``feed_too_long`` names the columns whose text the warehouse could
not take and which are null for that reason; the archive has it whole."""

_PLAIN: Final[Mapping[str, tuple[str, pa.DataType]]] = {
    "boolean": ("BOOLEAN", pa.bool_()),
    "double": ("DOUBLE PRECISION", pa.float64()),
    "float": ("REAL", pa.float32()),
    "int": ("INTEGER", pa.int32()),
    "long": ("BIGINT", pa.int64()),
}


def image_columns(avsc: Mapping[str, Any]) -> tuple[Column, ...]:
    """The typed columns of an image schema, in its order; a field that it adds later becomes a new last column.

    Numbers, text, decimals, times and truth values have types of their own; lists, maps and records are SUPER.

    Raises:
        ConfigError: two fields would have one column name, or a field's name begins like the feed's own.
    """
    columns = tuple(_with_default(_column_of(field), field.get("default")) for field in avsc["fields"])
    names = [column.name for column in columns]
    faults = [f"two fields of the image are called {name} in the warehouse" for name in names if names.count(name) > 1]
    faults += [f"the field {name} begins like the feed's own columns" for name in names if name.startswith(PREFIX)]
    if faults:
        raise ConfigError(faults[0], hint="rename the field in the image schema", faults=tuple(dict.fromkeys(faults)))
    return columns


def snake(name: str) -> str:
    """``orderId`` → ``order_id``: Redshift folds names to lower case, so words are kept apart otherwise."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _column_of(field: Mapping[str, Any]) -> Column:
    name, source = snake(field["name"]), field["name"]
    kind = field["type"]
    if isinstance(kind, list):
        others = [branch for branch in kind if branch != "null"]
        kind = others[0] if len(others) == 1 else {"type": "union"}
    logical, base = (kind.get("logicalType", ""), kind["type"]) if isinstance(kind, Mapping) else ("", kind)
    if logical == "decimal":
        precision, scale = kind["precision"], kind.get("scale", 0)
        return Column(name, f"DECIMAL({precision},{scale})", pa.decimal128(precision, scale), source)
    if logical == "timestamp-millis":
        return Column(name, "TIMESTAMP", pa.timestamp("us"), source, lambda ms: ms * 1000)
    if logical == "timestamp-micros":
        return Column(name, "TIMESTAMP", pa.timestamp("us"), source)
    if logical == "date":
        return Column(name, "DATE", pa.date32(), source)
    if base in _PLAIN:
        redshift, arrow = _PLAIN[base]
        return Column(name, redshift, arrow, source)
    if base in {"string", "enum"}:
        return Column(name, f"VARCHAR({TEXT_BYTES})", pa.string(), source, max_bytes=TEXT_BYTES)
    if base in {"bytes", "fixed"}:
        return Column(name, f"VARCHAR({JSON_BYTES})", pa.string(), source, _base64, JSON_BYTES)
    return Column(name, SUPER, pa.string(), source, json_text, JSON_BYTES)


def _with_default(column: Column, default: Any) -> Column:
    """Only what is the same in Avro's JSON and in SQL: text, numbers, truth values, and nested data as JSON."""
    if column.redshift == SUPER and default is not None:
        return replace(column, default=json_text(default))
    plain = column.convert is None and isinstance(default, str | int | float) and not pa.types.is_decimal(column.arrow)
    return replace(column, default=default) if plain else column


def json_text(value: Any) -> str | None:
    """Nested data as JSON; decimals as text, so that no digit changes. Empty maps are null: they say nothing."""
    if value == {}:
        return None
    return orjson.dumps(value, default=_json_default).decode()


def _json_default(value: Any) -> str:
    return _base64(value) if isinstance(value, bytes) else str(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
