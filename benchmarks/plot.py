"""The plot of a run: an SVG of bars for the main figures, and of lines for the growth of joins.

matplotlib draws it in the colours for light surroundings; rules in the SVG change them in dark
ones. The same medians make the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.catalogue import Medians
from benchmarks.report import OWN

_PAPER, _INK, _FAINT, _GRID = "#ffffff", "#1c2430", "#5b6675", "#d5dbe3"
_OWN, _OTHER = "#0b63ce", "#b3bdca"
_LINES = (_OWN, "#8a5a00", "#2f7d4f", "#a3386f")
# What each colour becomes in dark surroundings.
_DARK = {
    _PAPER: "#12161c",
    _INK: "#e8ecf2",
    _FAINT: "#a2adbb",
    _GRID: "#343d49",
    _OWN: "#5aa2f7",
    _OTHER: "#566272",
    _LINES[1]: "#e0b050",
    _LINES[2]: "#74c797",
    _LINES[3]: "#ee8fbd",
}

# Inches: the names, the bars and the values beside them, what is above a panel and around all, and
# a bar with the space below it.
_NAMES, _BARS, _VALUES, _HEAD, _GAP, _BAR = 1.95, 1.65, 0.6, 0.75, 0.25, 0.25
_GROWTH_BARS = 6  # how many bars the lines are as high as
_POINTS = 72  # in an inch

_SETTINGS: Any = {
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib
    "text.color": _INK,
    "text.parse_math": False,
    "xtick.color": _FAINT,
    "xtick.major.size": 0,
    "ytick.color": _FAINT,
    "ytick.major.size": 0,
    "legend.loc": "center left",
    "legend.frameon": False,
    "legend.handlelength": 1,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    # The growth's axes end at powers of ten.
    "axes.autolimit_mode": "round_numbers",
    "axes.xmargin": 0,
    "axes.ymargin": 0,
    "svg.fonttype": "none",  # text stays text, to be found and read aloud
    "svg.hashsalt": "presence",  # without it every drawing has ids of its own
}

# What joins of each size cost a contender: the sizes and the figures.
_Growth = dict[str, tuple[list[int], list[float]]]


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
    shown = [
        (panel, bars)
        for panel in panels(storms[min(1, len(storms) - 1)])
        if (bars := _bars_of(panel, found))
    ]
    growth = _growth_of(found, storms)
    with mpl.rc_context(_SETTINGS):
        figure, places = _places([len(bars) for _, bars in shown] + [_GROWTH_BARS] * bool(growth))
        for axes, (panel, bars) in zip(places, shown, strict=False):
            _draw_bars(axes, panel, bars, titles)
        if growth:
            _draw_growth(places[-1], growth, titles, storms)
        written = io.StringIO()
        metadata = {"Title": "Presence beside what people would pick instead", "Date": None}
        figure.savefig(written, format="svg", metadata=metadata)
    return written.getvalue().replace("</style>", f"{_dark_rules()}</style>", 1)


def _bars_of(panel: Panel, found: Medians) -> dict[str, float]:
    return {
        name: figures[panel.figure] * panel.scale
        for name, figures in found.get(panel.workload, {}).items()
        if panel.figure in figures
    }


def _growth_of(found: Medians, storms: tuple[int, ...]) -> _Growth:
    sizes = {
        name: [size for size in storms if name in found.get(f"join-{size}", {})]
        for name in found.get(f"join-{storms[0]}", {})
    }
    return {
        name: (done, [found[f"join-{size}"][name]["cpu_per_join_ms"] for size in done])
        for name, done in sizes.items()
        if len(done) > 1
    }


def _places(sizes: list[int]) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes for panels that are as high as so many bars, two in a row."""
    rows = [max(sizes[at : at + 2]) for at in range(0, len(sizes), 2)]
    width = 2 * (_NAMES + _BARS + _VALUES) + 3 * _GAP
    height = len(rows) * _HEAD + sum(rows) * _BAR + 2 * _GAP
    figure, places = Figure((width, height), facecolor=_PAPER), []
    for at, size in enumerate(sizes):
        row, column = divmod(at, 2)
        x = _GAP + column * (width - _GAP) / 2 + _NAMES
        y = height - (row + 1) * _HEAD - (sum(rows[:row]) + size) * _BAR
        box = (x / width, y / height, _BARS / width, size * _BAR / height)
        places.append(figure.add_axes(box))
    return figure, places


def _weight(name: str) -> str:
    return "bold" if name == OWN else "normal"


def _prepare(axes: Axes, title: str, about: str) -> None:
    """Write above a panel what it shows, from the left of its names, and leave out the frame."""
    where: Any = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(title, (0, 1), (-_NAMES * _POINTS, 26), size=11, weight="bold", **where)
    axes.annotate(about, (0, 1), (-_NAMES * _POINTS, 11), size=9, color=_FAINT, **where)
    axes.spines[:].set_visible(False)


def _draw_bars(axes: Axes, panel: Panel, bars: dict[str, float], titles: dict[str, str]) -> None:
    _prepare(axes, panel.title, panel.about)
    colours = [_OWN if name == OWN else _OTHER for name in bars]
    # The edges are what is seen of a bar that would be too short to see.
    drawn = axes.barh(range(len(bars)), list(bars.values()), 0.6, color=colours, edgecolor=colours)
    values = axes.bar_label(drawn, fmt=f"{{:,.{panel.digits}f}}", padding=5)
    axes.set_xlim(0, max(bars.values()) or 1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.xaxis.set_visible(False)
    axes.set_yticks(range(len(bars)), [titles.get(name, name) for name in bars], ha="left")
    axes.tick_params("y", pad=_NAMES * _POINTS, labelcolor=_INK)
    for name, label, value in zip(bars, axes.get_yticklabels(), values, strict=True):
        label.set_fontweight(_weight(name))
        value.set(fontweight=_weight(name), va="center_baseline")


def _draw_growth(
    axes: Axes, growth: _Growth, titles: dict[str, str], storms: Sequence[int]
) -> None:
    """Draw what a join costs in storms of each size, on axes that grow by powers of ten."""
    _prepare(axes, "One join in a storm of N", "CPU milliseconds, less is better")
    lines = {
        name: axes.loglog(*points, "o-", color=colour, ms=4, clip_on=False)[0]
        for (name, points), colour in zip(growth.items(), cycle(_LINES), strict=False)
    }
    axes.set_xticks(storms, [f"{size:,}" for size in storms])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.tick_right()
    axes.tick_params(pad=7)
    axes.minorticks_off()
    axes.grid(axis="y", color=_GRID)
    # The names stand in the order in which the lines end, from above.
    order = sorted(lines, key=lambda name: growth[name][1][-1], reverse=True)
    names = axes.legend(
        [lines[name] for name in order],
        [titles.get(name, name).replace("Node Socket.IO", "Node") for name in order],
        bbox_to_anchor=(-_NAMES / _BARS, 0.5),
    )
    for name, text in zip(order, names.get_texts(), strict=True):
        text.set_fontweight(_weight(name))


def _dark_rules() -> str:
    """Return the style that gives everything its other colour in dark surroundings."""
    rules = "".join(
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important }}\n'
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
    )
    return f"\n@media (prefers-color-scheme: dark) {{\n{rules}}}\n"
