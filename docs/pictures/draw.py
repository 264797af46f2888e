"""Draws feed-light.svg and feed-dark.svg: one picture, two palettes. Run it after changing it: `python docs/pictures/draw.py`."""

from __future__ import annotations

from pathlib import Path

LIGHT = {
    "ground": "#ffffff",
    "ink": "#1f2937",
    "soft": "#6b7280",
    "line": "#475569",
    "box": "#f8fafc",
    "edge": "#cbd5e1",
}
DARK = {
    "ground": "#0d1117",
    "ink": "#e6edf3",
    "soft": "#9aa6b2",
    "line": "#8b98a9",
    "box": "#161b22",
    "edge": "#3b4450",
}
REGION = {
    "light": {"eu": "#e8f0fe", "us": "#e9f7ee", "ap": "#fdf1e3"},
    "dark": {"eu": "#14233b", "us": "#12291c", "ap": "#2e2213"},
}
ACCENT = {
    "light": {"eu": "#2563eb", "us": "#15803d", "ap": "#c2410c"},
    "dark": {"eu": "#6ea8fe", "us": "#56d38a", "ap": "#f0a868"},
}
FONT = "ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Drawing:
    """An SVG in one palette."""

    def __init__(self, name: str, palette: dict[str, str]) -> None:
        self.name, self.palette, self.parts = name, palette, list[str]()

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 13,
        *,
        soft: bool = False,
        bold: bool = False,
        anchor: str = "middle",
        colour: str = "",
    ) -> None:
        fill = colour or self.palette["soft" if soft else "ink"]
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{weight}>{words}</text>'
        )

    def region(self, key: str, title: str, x: float, y: float, w: float, h: float) -> None:
        self.parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="14" fill="{REGION[self.name][key]}"/>')
        self.text(x + 16, y + 24, title, 13, bold=True, anchor="start", colour=ACCENT[self.name][key])

    def box(self, x: float, y: float, w: float, h: float, title: str, note: str = "") -> None:
        p = self.palette
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="9" fill="{p["box"]}" stroke="{p["edge"]}"/>'
        )
        middle = x + w / 2
        self.text(middle, y + (h / 2 - 3 if note else h / 2 + 5), title, 14, bold=True)
        if note:
            self.text(middle, y + h / 2 + 15, note, 11, soft=True)

    def topic(self, x: float, y: float, w: float, title: str, colour: str) -> None:
        """A log: a box of cells."""
        p = self.palette
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="34" rx="5" fill="{p["box"]}" stroke="{colour}" stroke-width="1.6"/>'
        )
        for n in range(1, 8):
            at = x + w * n / 8
            self.parts.append(
                f'<line x1="{at}" y1="{y}" x2="{at}" y2="{y + 34}" stroke="{colour}" stroke-opacity=".35"/>'
            )
        self.text(x + w / 2, y + 52, title, 12, bold=True, colour=colour)

    def arrow(self, points: list[tuple[float, float]], *, dashed: bool = False) -> None:
        way = " ".join(f"{'M' if n == 0 else 'L'}{x} {y}" for n, (x, y) in enumerate(points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{way}" fill="none" stroke="{self.palette["line"]}" stroke-width="1.6" marker-end="url(#tip)"{dash}/>'
        )

    def svg(self, width: int, height: int, title: str) -> str:
        p = self.palette
        tip = f'<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{p["line"]}"/></marker>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{FONT}" role="img" aria-label="{title}">\n'
            f"<title>{title}</title>\n<defs>{tip}</defs>\n"
            f'<rect width="{width}" height="{height}" rx="16" fill="{p["ground"]}"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def draw(name: str, palette: dict[str, str]) -> str:
    d = Drawing(name, palette)
    accent = ACCENT[name]
    d.region("eu", "eu · eu-west-1", 16, 16, 590, 448)
    d.region("us", "us · us-east-1", 634, 16, 410, 206)
    d.region("ap", "ap · ap-southeast-2", 634, 258, 410, 206)
    d.box(40, 62, 150, 62, "orders table", "DynamoDB Streams")
    d.box(236, 62, 160, 62, "producer", "one transaction a batch")
    d.topic(436, 76, 140, "orders", accent["eu"])
    d.topic(246, 176, 140, "orders.positions", accent["eu"])
    d.topic(436, 176, 140, "orders.control", accent["eu"])
    d.arrow([(190, 93), (234, 93)])
    d.arrow([(396, 93), (434, 93)])
    d.arrow([(316, 124), (316, 174)])
    d.arrow([(372, 124), (372, 150), (506, 150), (506, 174)])
    for y, title, note in (
        (262, "audit", "hash chain · S3 Object Lock"),
        (326, "notification", "SNS · SES"),
        (390, "archive", "90 days by event time"),
    ):
        d.box(400, y, 180, 52, title, note)
    d.arrow([(576, 100), (592, 100), (592, 288), (582, 288)])
    d.arrow([(592, 288), (592, 352), (582, 352)])
    d.arrow([(592, 352), (592, 416), (582, 416)])
    d.box(216, 390, 130, 52, "replay", "for one group")
    d.arrow([(400, 416), (348, 416)])
    d.box(40, 262, 306, 92, "feed verify", "every ordinal once, in every region and sink")
    d.topic(662, 76, 140, "orders", accent["us"])
    d.topic(662, 152, 140, "orders.control", accent["us"])
    d.topic(662, 318, 140, "orders", accent["ap"])
    d.topic(662, 394, 140, "orders.control", accent["ap"])
    d.box(848, 62, 172, 62, "warehouse", "picks, under 2 s")
    d.box(848, 304, 172, 62, "analytics", "Parquet · Redshift")
    d.arrow([(802, 93), (846, 93)])
    d.arrow([(802, 335), (846, 335)])
    d.arrow([(576, 88), (660, 88)])
    d.text(620, 78, "MirrorMaker 2", 11, soft=True)
    d.arrow([(616, 88), (616, 335), (660, 335)])
    d.arrow([(576, 193), (640, 193), (640, 169), (660, 169)], dashed=True)
    d.arrow([(640, 193), (640, 411), (660, 411)], dashed=True)
    return d.svg(
        1060,
        480,
        "A DynamoDB table's stream becomes topics in three regions; five consumers act on them and feed verify proves it",
    )


if __name__ == "__main__":
    here = Path(__file__).parent
    for name, palette in (("light", LIGHT), ("dark", DARK)):
        (here / f"feed-{name}.svg").write_text(draw(name, palette), encoding="utf-8")
