"""The results as a table, and as a picture in two palettes in the style of the others in docs/pictures."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from benchmarks.mirror.wan_setup import Result

WIDTH, ROW, TOP, LEFT = 1060, 30, 76, 310
BARS = (LEFT, 640)
"""From where to where bytes are drawn."""
TIMES = (720, 1030)
"""The same of times."""


def table(results: Sequence[Result]) -> str:
    """For docs/benchmarks.md."""
    lines = [
        "| MirrorMaker | bytes a change to us | bytes a change to eu | p50 ms | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.setup} | {one.bytes_to_target:.0f} | {one.bytes_to_source:.0f} | {one.p50_ms} | {one.p99_ms} |"
        for one in results
    ]
    loads = [one.load for one in results]
    lines += ["", f"Load of the machine: {min(loads, default=0)} to {max(loads, default=0)}."]
    return "\n".join(lines)


def draw(results: Sequence[Result], folder: Path) -> None:
    """Write ``wan-light.svg`` and ``wan-dark.svg``."""
    style = _style(folder)
    for name, palette in (("light", style.LIGHT), ("dark", style.DARK)):
        drawing = style.Drawing(name, palette)
        _chart(drawing, results, colours=style.ACCENT[name])
        height = TOP + ROW * len(results) + 44
        text = drawing.svg(
            WIDTH, height, "Bytes a change over the ocean, and time from eu to us, by MirrorMaker's setup"
        )
        (folder / f"wan-{name}.svg").write_text(text, encoding="utf-8")


def _chart(drawing: object, results: Sequence[Result], *, colours: dict[str, str]) -> None:
    d: object = drawing
    most_bytes = max(one.bytes_to_target + one.bytes_to_source for one in results)
    most_ms = sorted(one.p99_ms for one in results)[-2:][0]  # the slowest goes beyond the edge, or it hides the others
    d.text(BARS[0], 32, "bytes a change over the ocean", 13, bold=True, anchor="start")
    d.text(BARS[0], 52, "to us (dark) and back to eu (light)", 11, soft=True, anchor="start")
    d.text(TIMES[0], 32, "ms from produced in eu to readable in us", 13, bold=True, anchor="start")
    d.text(TIMES[0], 52, "p50 to p99", 11, soft=True, anchor="start")
    for row, one in enumerate(results):
        y = TOP + ROW * row
        d.text(LEFT - 14, y + 15, one.setup, 12, anchor="end")
        colour = colours["eu" if "target" in one.setup else "ap"]
        scale = (BARS[1] - BARS[0] - 60) / most_bytes
        there, back = one.bytes_to_target * scale, one.bytes_to_source * scale
        d.parts.append(f'<rect x="{BARS[0]}" y="{y + 2}" width="{there:.1f}" height="17" rx="3" fill="{colour}"/>')
        d.parts.append(
            f'<rect x="{BARS[0] + there:.1f}" y="{y + 2}" width="{back:.1f}" height="17" rx="3" fill="{colour}" '
            'fill-opacity=".35"/>'
        )
        total = one.bytes_to_target + one.bytes_to_source
        d.text(BARS[0] + there + back + 8, y + 15, f"{total:.0f}", 11, soft=True, anchor="start")
        step = (TIMES[1] - TIMES[0] - 50) / most_ms
        left, right = TIMES[0] + one.p50_ms * step, TIMES[0] + min(one.p99_ms, most_ms) * step
        d.parts.append(
            f'<line x1="{left:.1f}" y1="{y + 10}" x2="{right:.1f}" y2="{y + 10}" stroke="{colour}" stroke-width="3"/>'
        )
        d.parts.append(f'<circle cx="{left:.1f}" cy="{y + 10}" r="4.5" fill="{colour}"/>')
        end = f'<circle cx="{right:.1f}" cy="{y + 10}" r="4.5" fill="{colour}"/>'
        beyond = f'<path d="M{right - 6:.1f} {y + 4}l10 6l-10 6z" fill="{colour}"/>'
        d.parts.append(end if one.p99_ms <= most_ms else beyond)
        d.text(right + 10, y + 14, f"{one.p50_ms} · {one.p99_ms}", 11, soft=True, anchor="start")


def _style(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", folder / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pictures"] = module
    spec.loader.exec_module(module)
    return module
