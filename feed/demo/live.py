"""The live table: what each region and each consumer has seen, how far behind it is, and how long things take. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from feed.demo.metrics import quantile
from feed.demo.scrape import Reading

COLUMNS: Final = ("changes", "lag", "lag s", "p50 ms", "p99 ms", "errors", "dead")
"""Changes seen; lag in records and in seconds; from write to here, half and 99 % of them; errors; dead letters."""


@dataclass(frozen=True, slots=True)
class Row:
    """A region's topic, or a consumer."""

    region: str
    name: str
    changes: int
    lag_records: int
    lag_s: float
    reaction_s: Mapping[float, float]
    """From write to here: cumulative counts by upper bound."""
    errors: int = 0
    dead_letters: int = 0
    answers: bool = True
    """Whether the process answered the last scrape."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of a demo."""

    phase: str
    workload: str
    rows: Sequence[Row]


def topic_row(region: str, changes: int, written: int, quiet_s: float, reaction_s: Mapping[float, float]) -> Row:
    """A region's topic; it lags behind what the table acknowledged."""
    lag = max(0, written - changes)
    return Row(region, "topic", changes, lag, quiet_s if lag else 0.0, reaction_s)


def consumer_row(region: str, name: str, reading: Reading) -> Row:
    """A consumer, by its own metrics."""
    samples = reading.samples
    errors = reading.counted("feed_consumer_retries_total") + reading.counted("feed_consumer_kafka_errors_total")
    return Row(
        region,
        name,
        reading.counted("feed_consumer_records_total"),
        int(samples.total("feed_consumer_lag_records")),
        samples.largest("feed_consumer_lag_seconds"),
        reading.reactions,
        errors,
        reading.counted("feed_consumer_dead_letters_total"),
        reading.answered,
    )


def producer_row(region: str, reading: Reading) -> Row:
    """The producer: its lag is the age of what it read last."""
    samples = reading.samples
    return Row(
        region,
        "producer",
        reading.counted("feed_producer_records_total"),
        0,
        samples.largest("feed_producer_seconds_behind"),
        samples.buckets("feed_producer_write_to_committed_seconds"),
        reading.counted("feed_producer_aborts_total"),
        reading.counted("feed_producer_dead_letters_total"),
        reading.answered,
    )


def render(snapshot: Snapshot) -> RenderableType:
    """For a terminal."""
    table = Table(
        title=snapshot.phase, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    table.add_column("", no_wrap=True)
    table.add_column("where", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    last = None
    for row in snapshot.rows:
        if last is not None and row.region != last:
            table.add_section()
        last = row.region
        table.add_row(row.region, Text(row.name, style="" if row.answers else "red"), *_cells(row))
    return Group(table, Text(snapshot.workload))


def plain(snapshot: Snapshot) -> str:
    """One line, for a log."""
    rows = "; ".join(
        f"{row.region} {row.name} {row.changes}" + ("" if math.isnan(p99 := _ms(row, 0.99)) else f" p99 {p99:.0f} ms")
        for row in snapshot.rows
    )
    return f"{snapshot.phase}: {rows}. {snapshot.workload}"


def _cells(row: Row) -> list[Text]:
    lag = str(row.lag_records) if row.name != "producer" else "-"
    cells = [str(row.changes), lag, f"{row.lag_s:.1f}", _show(_ms(row, 0.5)), _show(_ms(row, 0.99))]
    return [
        *(Text(cell) for cell in cells),
        *(Text(str(count), style="red" if count else "") for count in (row.errors, row.dead_letters)),
    ]


def _ms(row: Row, share: float) -> float:
    return quantile(row.reaction_s, share) * 1_000


def _show(ms: float) -> str:
    return "-" if math.isnan(ms) else f"{ms:.0f}"
