"""Puts the figures of a run where readers look for them: RESULTS.md, figures.json and the plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import Rounds

_HERE = Path(__file__).parent
RESULTS = _HERE / "RESULTS.md"
FIGURES = _HERE / "figures.json"
PLOT = _HERE.parent / "docs" / "benchmarks.svg"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_DIGITS = 5  # that a raw figure keeps


def with_figures(document: str, figures: str) -> str:
    """Return a document with the part between its marks replaced."""
    head, _, rest = document.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n\n{figures.strip()}\n\n{_END}{tail}"


def raw(about: dict[str, str], rounds: Rounds) -> str:
    """Return the figures of every round as JSON, a line for each workload on each server."""
    lines: list[str] = []
    for workload, by_contender in rounds.items():
        for contender, taken in by_contender.items():
            rounded: list[Any] = [
                {name: float(f"{value:.{_DIGITS}g}") for name, value in figures.items()}
                for figures in taken
            ]
            row = {"workload": workload, "server": contender, "rounds": rounded}
            lines.append(json.dumps(row))
    return f'{{"about": {json.dumps(about)},\n"measured": [\n' + ",\n".join(lines) + "\n]}\n"


def publish(figures: str, raw_figures: str, plot: str) -> None:
    """Write the documents that the repository keeps."""
    RESULTS.write_text(with_figures(RESULTS.read_text(), figures))
    FIGURES.write_text(raw_figures)
    PLOT.write_text(plot)
