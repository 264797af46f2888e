"""The charts of the reports, from the rows that the warehouse answered. Pure: rows in, SVG out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from feed.reports.canvas import Canvas, Palette, Point, Scale, number, ticks

Row = Mapping[str, Any]

WIDTH: Final = 900
LEFT, RIGHT = 76, WIDTH - 190
"""Where the axes begin and end; the direct labels stand to the right of them."""

MOST_MOMENTS: Final = 100_000
"""A chart of more moments is refused: its bucket is too fine for its span."""

ON_THE_WAY: Final = ("created", "paid", "packed", "shipped")
AT_THE_END: Final = ("delivered", "cancelled")
_LIFE: Final = (*ON_THE_WAY, *AT_THE_END)


@dataclass(frozen=True, slots=True)
class Moments:
    """Every bucket between the first and the last, also those in which nothing happened."""

    all: tuple[datetime, ...]
    bucket: str

    @classmethod
    def of(cls, rows: Sequence[Row], bucket: str) -> Moments:
        """From the rows' moments."""
        found = [_moment(row) for row in rows]
        step = timedelta(**{f"{bucket}s": 1})
        first, last = min(found), max(found)
        count = min((last - first) // step, MOST_MOMENTS)
        return cls(tuple(first + step * number for number in range(count + 1)), bucket)

    def scale(self) -> Scale:
        """Along the horizontal axis."""
        return Scale(0, max(len(self.all) - 1, 1), LEFT, RIGHT)

    def marks(self) -> list[tuple[float, str]]:
        """About six of them: seconds and minutes are counted from the start, hours and days have their own names."""
        last = len(self.all) - 1
        steps = [int(value) for value in ticks(last, 6) if value <= last and value == int(value)]
        if self.bucket in {"second", "minute"}:
            return [(step, f"{step} {self.bucket[0]}" if step else "0") for step in steps]
        form = "%d %b %H:00" if self.bucket == "hour" else "%d %b"
        return [(step, self.all[step].strftime(form)) for step in steps]

    @property
    def said(self) -> str:
        """When it began."""
        return f"from {self.all[0]:%Y-%m-%d %H:%M:%S} UTC"


def draw(name: str, rows: Sequence[Row], *, bucket: str, palette: Palette) -> str:
    """The chart of the report ``name``, as SVG."""
    chart = {"orders-by-status": orders_by_status, "time-in-status": time_in_status, "throughput": throughput}[name]
    return chart(rows, bucket, palette)


def orders_by_status(rows: Sequence[Row], bucket: str, palette: Palette) -> str:
    """Two panels over one time: what is on its way, stacked, and what has come to its end."""
    moments = Moments.of(rows, bucket)
    standing = {status: _standing(rows, moments, status) for status in _LIFE}
    canvas = Canvas(palette, WIDTH, 500, title="Orders by status", note=f"Orders in each status, {moments.said}")
    colours, across = canvas.colours, moments.scale()
    canvas.text(24, 92, "On their way, orders", size=13, bold=True)
    canvas.text(WIDTH - 20, 92, "at the end", soft=True, to="end")
    stacked = list(zip(ON_THE_WAY, colours.steps, strict=True))
    _stack(canvas, across, (108, 258), [(status, standing[status], colour) for status, colour in stacked])
    canvas.text(24, 306, "At their end, orders", size=13, bold=True)
    upper = ticks(max(max(standing[status]) for status in AT_THE_END))
    down = Scale(0, upper[-1], 450, 322)
    canvas.rows(down, upper, LEFT, RIGHT)
    labels = []
    for status, colour in zip(AT_THE_END, (colours.good, colours.bad), strict=True):
        points = [(across(at), down(value)) for at, value in enumerate(standing[status])]
        canvas.line(points, colour, width=2.5)
        labels.append((points[-1][1] + 4, status, number(standing[status][-1]), colour))
    canvas.labels(RIGHT + 14, labels, floor=454)
    canvas.columns(across, moments.marks(), 450)
    return canvas.svg()


def time_in_status(rows: Sequence[Row], bucket: str, palette: Palette) -> str:
    """For each status a bar from the tenth to the nine tenths, with a dot where half of the orders had left."""
    del bucket  # it has no time axis
    found = {row["status"]: row for row in rows}
    shown = [status for status in _LIFE if status in found]
    canvas = Canvas(
        palette,
        WIDTH,
        118 + 46 * len(shown),
        title="Time in each status",
        note="How long orders stayed before they left it: dot, half of them; bar, from a tenth to nine tenths",
    )
    upper = ticks(max(float(found[status]["p90_ms"]) for status in shown) / 1000, 6)
    across = Scale(0, upper[-1], 110, RIGHT)
    bottom = 84 + 46 * len(shown)
    for value in upper:
        canvas.line([(across(value), 78), (across(value), bottom)], canvas.colours.grid)
    for at, status in enumerate(shown):
        y = 101 + 46 * at
        low, middle, high = (float(found[status][f"{part}_ms"]) / 1000 for part in ("p10", "p50", "p90"))
        canvas.text(98, y + 5, status, size=13, bold=True, to="end")
        canvas.bar(across(low), y - 5, max(across(high) - across(low), 10), 10, canvas.colours.faint)
        canvas.dot(across(middle), y, canvas.colours.accent)
        half = f"{middle:.2f} s" if middle < 10 else f"{number(round(middle))} s"
        canvas.text(across(middle), y - 13, half, bold=True, to="middle")
        canvas.text(WIDTH - 20, y + 5, f"{number(int(found[status]['orders']))} stays", size=13, soft=True, to="end")
    canvas.columns(across, [(value, f"{number(value)} s") for value in upper], bottom)
    return canvas.svg()


def throughput(rows: Sequence[Row], bucket: str, palette: Palette) -> str:
    """Changes in each time, stacked by what they did, with their mean."""
    moments = Moments.of(rows, bucket)
    by_moment = {_moment(row): row for row in rows}
    total = sum(int(row["changes"]) for row in rows)
    per = f"Changes written in each {bucket}, {moments.said}: {number(total)} in all"
    canvas = Canvas(palette, WIDTH, 360, title="Throughput", note=per)
    colours, across = canvas.colours, moments.scale()
    series = [
        (kind, [float(by_moment[at][kind]) if at in by_moment else 0.0 for at in moments.all], colour)
        for kind, colour in (("updated", colours.steps[2]), ("created", colours.steps[0]), ("deleted", colours.bad))
    ]
    down = _stack(canvas, across, (84, 312), series, last=False)
    canvas.text(WIDTH - 20, 84, "in all", soft=True, to="end")
    mean = total / len(moments.all)
    canvas.line([(LEFT, down(mean)), (RIGHT, down(mean))], colours.ink, width=1.2, dashed=True)
    most = max(sum(values) for values in zip(*(values for _, values, _ in series), strict=True))
    canvas.text(LEFT + 8, down(most) - 8, f"mean {mean:,.0f} a {bucket}", bold=True)
    canvas.columns(across, moments.marks(), 312)
    return canvas.svg()


def _stack(
    canvas: Canvas,
    across: Scale,
    between: tuple[float, float],
    series: Sequence[tuple[str, Sequence[float], str]],
    *,
    last: bool = True,
) -> Scale:
    """Areas on top of each other; their labels tell the last value or the sum. Gives the vertical scale."""
    top, bottom = between
    sums = [sum(values) for values in zip(*(values for _, values, _ in series), strict=True)]
    upper = ticks(max(sums) * 1.05)
    down = Scale(0, upper[-1], bottom, top)
    canvas.rows(down, upper, LEFT, RIGHT)
    below = [0.0] * len(sums)
    labels: list[tuple[float, str, str, str]] = []
    for name, values, colour in series:
        above = [low + value for low, value in zip(below, values, strict=True)]
        canvas.area(_along(across, down, above), _along(across, down, below), colour)
        middle = down(_typical(below) / 2 + _typical(above) / 2)
        labels.append((middle + 4, name, number(values[-1] if last else sum(values)), colour))
        below = above
    canvas.labels(RIGHT + 14, labels, floor=bottom + 4)
    return down


def _typical(values: Sequence[float]) -> float:
    """Of the last tenth, where the labels stand: a single value may be an odd one."""
    tail = sorted(values[-max(len(values) // 10, 1) :])
    return tail[len(tail) // 2]


def _along(across: Scale, down: Scale, values: Sequence[float]) -> list[Point]:
    return [(across(at), down(value)) for at, value in enumerate(values)]


def _standing(rows: Sequence[Row], moments: Moments, status: str) -> list[float]:
    """How many stood there at each moment: as many as at the last one that has a row."""
    known = {_moment(row): float(row["orders"]) for row in rows if row["status"] == status}
    standing, now = [], 0.0
    for at in moments.all:
        now = known.get(at, now)
        standing.append(now)
    return standing


def _moment(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["moment"]))
