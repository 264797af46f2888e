"""An SVG in one palette, with axes that have units. Pure: text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Final

FONT: Final = "ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
LABEL_PX: Final = 17
"""Least distance between the baselines of two direct labels."""

Point = tuple[float, float]


class Palette(StrEnum):
    """On what ground a picture is drawn."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Colours:
    """What a palette draws with. Series differ in lightness as well as in hue, and each is named where it ends."""

    ground: str
    ink: str
    soft: str
    grid: str
    steps: tuple[str, str, str, str]
    """An order, from the first to the last: one hue, ever stronger."""
    good: str
    bad: str
    accent: str
    faint: str


COLOURS: Final = {
    Palette.LIGHT: Colours(
        ground="#ffffff",
        ink="#1f2937",
        soft="#6b7280",
        grid="#e5e7eb",
        steps=("#bcdcf2", "#6baed6", "#2b7bba", "#0b4a86"),
        good="#00896b",
        bad="#c2510c",
        accent="#2b7bba",
        faint="#bcdcf2",
    ),
    Palette.DARK: Colours(
        ground="#0d1117",
        ink="#e6edf3",
        soft="#9aa6b2",
        grid="#262d36",
        steps=("#1d4f80", "#3a83c2", "#74b5ea", "#c4e3fb"),
        good="#3fd0a4",
        bad="#f0964f",
        accent="#74b5ea",
        faint="#1d4f80",
    ),
}


@dataclass(frozen=True, slots=True)
class Scale:
    """From a value to a place."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)


def ticks(high: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``high``: one, two or five times a power of ten apart."""
    rough = max(high, 1e-9) / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(math.ceil(high / step * 0.999) + 1)]


def number(value: float) -> str:
    """``1,200``, ``0.5``."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2g}" if value < 1 else f"{value:,.1f}"


class Canvas:
    """Shapes of one picture."""

    def __init__(self, palette: Palette, width: int, height: int, *, title: str, note: str) -> None:
        self.colours = COLOURS[palette]
        self.width, self.height = width, height
        self._title = title
        self._parts: list[str] = []
        self.text(24, 34, title, size=17, bold=True)
        self.text(24, 55, note, size=13, soft=True)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 12,
        soft: bool = False,
        bold: bool = False,
        to: str = "start",
    ) -> None:
        """Words whose baseline begins (or ends: ``to="end"``) at a place."""
        fill = self.colours.soft if soft else self.colours.ink
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{to}"{weight}>'
            f"{escape(words)}</text>"
        )

    def line(self, points: Sequence[Point], colour: str, *, width: float = 1, dashed: bool = False) -> None:
        """A line through points."""
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self._parts.append(
            f'<path d="M{_way(points)}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-linejoin="round" stroke-linecap="round"{dash}/>'
        )

    def area(self, upper: Sequence[Point], lower: Sequence[Point], colour: str) -> None:
        """What lies between two lines, parted from its neighbours by the ground's colour."""
        self._parts.append(
            f'<path d="M{_way(upper)}L{_way(list(reversed(lower)))}Z" fill="{colour}" '
            f'stroke="{self.colours.ground}" stroke-width=".8"/>'
        )

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A bar with round ends."""
        radius = min(height, width) / 2
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius:.1f}" fill="{colour}"/>'
        )

    def dot(self, x: float, y: float, colour: str) -> None:
        """A dot, set off from what it lies on."""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6.5" fill="{colour}" '
            f'stroke="{self.colours.ground}" stroke-width="2"/>'
        )

    def rows(self, scale: Scale, values: Sequence[float], left: float, right: float) -> None:
        """Horizontal grid lines with their numbers."""
        for value in values:
            y = scale(value)
            self.line([(left, y), (right, y)], self.colours.soft if value == 0 else self.colours.grid)
            self.text(left - 8, y + 4, number(value), soft=True, to="end")

    def columns(self, scale: Scale, marks: Sequence[tuple[float, str]], y: float) -> None:
        """Marks below an axis."""
        for value, words in marks:
            self.line([(scale(value), y), (scale(value), y + 5)], self.colours.soft)
            self.text(scale(value), y + 19, words, soft=True, to="middle")

    def labels(self, x: float, wanted: Sequence[tuple[float, str, str, str]], floor: float) -> None:
        """Direct labels beside the ends of series: ``(y, name, value, colour)``, moved apart where they would touch."""
        for y, name, value, colour in _apart(wanted, floor):
            self.bar(x, y - 9, 10, 10, colour)
            self.text(x + 16, y, name, size=13, bold=True)
            self.text(self.width - 20, y, value, size=13, soft=True, to="end")

    def svg(self) -> str:
        """The picture."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'font-family="{FONT}" role="img" aria-label="{escape(self._title)}">\n'
            f"<title>{escape(self._title)}</title>\n"
            f'<rect width="{self.width}" height="{self.height}" rx="14" fill="{self.colours.ground}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )


def _way(points: Sequence[Point]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _apart(wanted: Sequence[tuple[float, str, str, str]], floor: float) -> Iterator[tuple[float, str, str, str]]:
    """From the top down, none closer than a line, none below ``floor``."""
    placed = sorted(wanted)
    heights = [y for y, *_ in placed]
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + LABEL_PX)
    if heights and heights[-1] > floor:
        heights[-1] = floor
        for at in range(len(heights) - 2, -1, -1):
            heights[at] = min(heights[at], heights[at + 1] - LABEL_PX)
    for y, (_, *rest) in zip(heights, placed, strict=True):
        yield (y, *rest)  # type: ignore[misc]  # a tuple of four
