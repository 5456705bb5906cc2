"""Bars and lines as SVG, on a ground of their own that follows a light or a dark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, LABELS, RIGHT, TOP, BAR, GAP = 760, 250, 90, 46, 18, 12
PLOT = 240  # height of a line chart
COLOURS = ("#3b82c4", "#e07b39", "#4a9d5b", "#b5599c", "#8a8a3a")
STYLE = """\
<style>
  rect.ground { fill: #ffffff; } text { fill: #24292f; font: 12px sans-serif; }
  text.title { font-size: 14px; font-weight: bold; } text.end { text-anchor: end; } text.middle { text-anchor: middle; }
  line { stroke: #24292f; } line.grid { stroke: #d0d7de; } polyline { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    rect.ground { fill: #161b22; } text { fill: #e6edf3; } line { stroke: #e6edf3; } line.grid { stroke: #3d444d; }
  }
</style>"""


class Bar(NamedTuple):
    """`low` and `high`: the spread of the runs."""

    label: str
    value: float
    low: float
    high: float
    series: int = 0


def bars(title: str, unit: str, given: Sequence[Bar], series: Sequence[str] = ()) -> str:
    """Lying bars, one below the other."""
    top = TOP + (20 if series else 0)
    most = max((bar.high for bar in given), default=1.0) or 1.0
    scale, parts, y = (WIDTH - LABELS - RIGHT) / most, legend(series), top
    for bar in given:
        middle, end, low, high = y + BAR / 2, *(LABELS + part * scale for part in (bar.value, bar.low, bar.high))
        colour = COLOURS[bar.series % len(COLOURS)]
        parts += [
            text(LABELS - 8, middle + 4, bar.label, "end"),
            f'<rect x="{LABELS}" y="{y}" width="{end - LABELS:.1f}" height="{BAR}" fill="{colour}"/>',
            line(low, middle, high, middle),
            text(max(end, high) + 6, middle + 4, f"{bar.value:,.{decimals(bar.value)}f}"),
        ]
        y += BAR + GAP
    return svg(title, unit, y + 4, parts)


class Axis(NamedTuple):
    low: float
    high: float
    begin: float  # in pixels
    end: float
    log: bool

    def at(self, value: float) -> float:
        low, high, value = (log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.begin + (value - low) / ((high - low) or 1) * (self.end - self.begin)

    def marks(self) -> list[float]:
        if self.log:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            marks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
            return [mark for mark in marks if self.low <= mark <= self.high]
        step = 10 ** int(log10(self.high or 1))
        step = step / 5 if self.high / step < 2 else step / 2 if self.high / step < 5 else step
        return [step * number for number in range(int(self.high / step) + 1)]


def lines(
    title: str, unit: str, given: Mapping[str, Mapping[int, float]], *, across: str, log: tuple[bool, bool]
) -> str:
    """A line for each name. `log`: of the axis across and of the one up; one that is not begins at 0."""
    xs = sorted({x for of in given.values() for x in of})
    ys = [y for of in given.values() for y in of.values()]
    bottom = TOP + 20 + PLOT
    x_axis = Axis(xs[0] if log[0] else 0, xs[-1], 80, WIDTH - 40, log[0])
    y_axis = Axis(min(ys) / 1.5 if log[1] else 0, max(ys) * 1.05, bottom, TOP + 20, log[1])
    parts = legend(list(given))
    for mark in y_axis.marks():
        y = y_axis.at(mark)
        parts += [line(80, y, WIDTH - 40, y, "grid"), text(72, y + 4, f"{mark:,.{decimals(mark)}f}", "end")]
    parts += [text(x_axis.at(x), bottom + 18, f"{x:,.0f}", "middle") for x in xs]
    for number, of in enumerate(given.values()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(x_axis.at(x), y_axis.at(y)) for x, y in sorted(of.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" stroke="{colour}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    parts.append(text(WIDTH / 2, bottom + 38, across, "middle"))
    return svg(title, unit, bottom + 50, parts)


def legend(series: Sequence[str]) -> list[str]:
    parts, x = [], 16.0
    for number, name in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        parts += [f'<rect x="{x}" y="{TOP - 11}" width="11" height="11" fill="{colour}"/>', text(x + 16, TOP - 1, name)]
        x += 36 + 6.4 * len(name)
    return parts


def svg(title: str, unit: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    ground = f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="6"/>'
    heading = text(16, 24, f"{title}, {unit}", "title")
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, ground, heading, *parts, "</svg>\n"])


def text(x: float, y: float, what: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}>{escape(what)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{named}/>'


def decimals(value: float) -> int:
    return 0 if value == int(value) or value >= 100 else 1 if value >= 1 else 2
