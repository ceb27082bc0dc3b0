"""The plot of a run: an SVG of bars for the main figures, and of lines for the growth of joins.

It brings its own colours for light and dark surroundings, and needs nothing to be drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from benchmarks.catalogue import Medians
from benchmarks.report import OWN

_WIDTH, _MARGIN, _GAP = 880, 24, 40
_PANEL = (_WIDTH - 2 * _MARGIN - _GAP) / 2
_LABELS = 180  # what the names of the contenders take of a panel
_VALUES = 58
_BAR, _STEP = 16, 24
_HEAD = 50  # a panel's title and what it shows
_LINES_HEIGHT = 168

_STYLE = """
  .paper { fill: #ffffff; }
  text { fill: #1c2430; font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .title { font-size: 15px; font-weight: 600; }
  .about, .tick { fill: #5b6675; font-size: 12px; }
  .own { fill: #0b63ce; } .other { fill: #b3bdca; }
  .mine { font-weight: 600; }
  .line { fill: none; stroke-width: 2; } .axis { stroke: #d5dbe3; stroke-width: 1; }
  .line-0 { stroke: #0b63ce; } .line-1 { stroke: #8a5a00; } .line-2 { stroke: #2f7d4f; }
  .line-3 { stroke: #a3386f; }
  .mark-0 { fill: #0b63ce; } .mark-1 { fill: #8a5a00; } .mark-2 { fill: #2f7d4f; }
  .mark-3 { fill: #a3386f; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12161c; }
    text { fill: #e8ecf2; } .about, .tick { fill: #a2adbb; }
    .own { fill: #5aa2f7; } .other { fill: #566272; } .axis { stroke: #343d49; }
    .line-0 { stroke: #5aa2f7; } .line-1 { stroke: #e0b050; } .line-2 { stroke: #74c797; }
    .line-3 { stroke: #ee8fbd; }
    .mark-0 { fill: #5aa2f7; } .mark-1 { fill: #e0b050; } .mark-2 { fill: #74c797; }
    .mark-3 { fill: #ee8fbd; }
  }
"""


@dataclass(frozen=True)
class Panel:
    """A panel of bars: one figure of one workload, with its unit and the digits to show."""

    workload: str
    figure: str
    title: str
    about: str
    digits: int = 0
    scale: float = 1.0


def panels(storm: int) -> list[Panel]:
    """Return what the plot shows as bars, with a storm of joins of the given size."""
    return [
        Panel(f"join-{storm}", "cpu_s", f"{storm} join at once", "CPU seconds, less is better", 2),
        Panel("updates", "cpu_s", "500 updates among 100 peers", "CPU seconds, less is better", 2),
        Panel("relay", "per_cpu_s", "Signals relayed", "per CPU second, more is better"),
        Panel(
            "rest", "list_per_cpu_s", "REST list of every room", "per CPU second, more is better", 1
        ),
        Panel("joined", "kb_per_joined", "A joined connection", "KB of memory, less is better"),
        Panel(
            "large-room",
            "bytes_per_change",
            "One change in a room of 1,000",
            "kB to each client, less is better",
            1,
            1e-3,
        ),
        Panel(
            "signals-beside-uploads",
            "upload_p95_ms",
            "Signals during ten uploads",
            "p95 in milliseconds, less is better",
            1,
        ),
    ]


def svg(found: Medians, titles: dict[str, str], storms: tuple[int, ...]) -> str:
    """Return the plot of some medians; what was not measured is left out.

    `titles` are the contenders' names for people, `storms` the sizes of the storms of joins.
    """
    drawn: list[str] = []
    heights: list[float] = []
    shown = [
        (panel, bars)
        for panel in panels(storms[min(1, len(storms) - 1)])
        if (bars := _bars_of(panel, found))
    ]
    blocks = [(_bars(panel, bars, titles), _HEAD + _STEP * len(bars)) for panel, bars in shown]
    growth = _growth(found, titles, storms)
    if growth:
        blocks.append((growth, _HEAD + _LINES_HEIGHT))
    y = float(_MARGIN)
    for at in range(0, len(blocks), 2):
        row = blocks[at : at + 2]
        for column, (content, _height) in enumerate(row):
            x = _MARGIN + column * (_PANEL + _GAP)
            drawn.append(f'<g transform="translate({x:g},{y:g})">{content}</g>')
        heights.append(max(height for _content, height in row))
        y += heights[-1] + _GAP / 2
    height = math.ceil(y + _MARGIN / 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title">\n'
        '<title id="title">Presence beside what people would pick instead</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="8"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _bars_of(panel: Panel, found: Medians) -> dict[str, float]:
    return {
        name: figures[panel.figure] * panel.scale
        for name, figures in found.get(panel.workload, {}).items()
        if panel.figure in figures
    }


def _heading(title: str, about: str) -> str:
    return (
        f'<text class="title" y="14">{escape(title)}</text>'
        f'<text class="about" y="32">{escape(about)}</text>'
    )


def _bars(panel: Panel, bars: dict[str, float], titles: dict[str, str]) -> str:
    longest = max(bars.values()) or 1.0
    room = _PANEL - _LABELS - _VALUES
    parts = [_heading(panel.title, panel.about)]
    for at, (name, value) in enumerate(bars.items()):
        y = _HEAD + at * _STEP
        kind, mine = ("own", ' class="mine"') if name == OWN else ("other", "")
        width = max(1.5, room * value / longest)
        parts.append(
            f'<text{mine} y="{y + 12}">'
            f"{escape(titles.get(name, name))}</text>"
            f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{width:.1f}" '
            f'height="{_BAR}" rx="2"/>'
            f'<text{mine} x="{_LABELS + width + 6:.1f}" y="{y + 12}">'
            f"{value:,.{panel.digits}f}</text>"
        )
    return "".join(parts)


def _growth(found: Medians, titles: dict[str, str], storms: tuple[int, ...]) -> str:
    """Draw what a join costs in storms of each size, on axes that grow by powers of ten."""
    lines = {
        name: [
            (size, found[f"join-{size}"][name]["cpu_per_join_ms"])
            for size in storms
            if name in found.get(f"join-{size}", {})
        ]
        for name in found.get(f"join-{storms[0]}", {})
    }
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    values = [value for points in lines.values() for _size, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right, bottom = 44.0, _PANEL - 162, _HEAD + _LINES_HEIGHT - 24.0
    span = math.log(storms[-1] / storms[0])

    def x_of(size: int) -> float:
        return left + (right - left) * math.log(size / storms[0]) / span

    def y_of(value: float) -> float:
        return bottom - (bottom - _HEAD) * (math.log10(value) - low) / max(high - low, 1)

    parts = [_heading("One join in a storm of N", "CPU milliseconds, less is better")]
    for power in range(low, high + 1):
        y = y_of(10.0**power)
        parts.append(
            f'<line class="axis" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{10.0**power:g}</text>"
        )
    for size in storms:
        parts.append(
            f'<text class="tick" x="{x_of(size):.1f}" y="{bottom + 18:.1f}" '
            f'text-anchor="middle">{size:,}</text>'
        )
    ends = _spread([y_of(points[-1][1]) for points in lines.values()], 16)
    for at, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{x_of(size):.1f},{y_of(value):.1f}" for size, value in points)
        parts.append(f'<polyline class="line line-{at % 4}" points="{path}"/>')
        parts += [
            f'<circle class="mark-{at % 4}" cx="{x_of(size):.1f}" cy="{y_of(value):.1f}" r="3"/>'
            for size, value in points
        ]
        mine = ' class="mine"' if name == OWN else ""
        parts.append(
            f'<circle class="mark-{at % 4}" cx="{right + 16}" cy="{ends[at]:.1f}" r="4"/>'
            f'<text{mine} x="{right + 26}" y="{ends[at] + 4:.1f}">'
            f"{escape(titles.get(name, name).replace('Node Socket.IO', 'Node'))}</text>"
        )
    return "".join(parts)


def _spread(places: list[float], least: float) -> list[float]:
    """Return places moved apart, so that labels at them do not cover each other."""
    spread = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for before, after in pairwise(order):
        spread[after] = max(spread[after], spread[before] + least)
    return spread
