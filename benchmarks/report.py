"""The report of a run: medians, tables of them as text, and which targets were reached."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from benchmarks.catalogue import Column, Medians, Target, Workload
from benchmarks.measuring import SATURATED, Figures

# The figures of each round, by workload and contender.
Rounds = dict[str, dict[str, list[Figures]]]

OWN = "presence"


def medians(rounds: Rounds) -> Medians:
    """Return the median of each figure over the rounds."""
    return {
        workload: {
            contender: {
                figure: median(one[figure] for one in taken if figure in one)
                for figure in sorted({name for one in taken for name in one})
            }
            for contender, taken in by_contender.items()
            if taken
        }
        for workload, by_contender in rounds.items()
    }


def busiest_load(rounds: Rounds) -> float:
    """Return the largest share of its core that the load used in any workload."""
    return max(
        (
            figures["load_share"]
            for by_contender in rounds.values()
            for taken in by_contender.values()
            for figures in taken
        ),
        default=0.0,
    )


def incomplete(rounds: Rounds, number: int) -> list[str]:
    """Return the workloads, each with its contender, that failed in some of the rounds."""
    return [
        f"{workload} on {contender}"
        for workload, by_contender in rounds.items()
        for contender, taken in by_contender.items()
        if len(taken) < number
    ]


def table(workload: Workload, found: dict[str, Figures], titles: dict[str, str]) -> str:
    """Return the table of a workload in Markdown, with each contender's ratio to this server.

    The ratio is of the first column: above 1.00 the contender needs more, or does less.
    """
    head = [workload.title, *(column.heading for column in workload.columns), "times ours"]
    rows = [
        [
            titles.get(name, name),
            *(_cell(figures, column) for column in workload.columns),
            _times(workload.columns[0], figures, found.get(OWN)),
        ]
        for name, figures in found.items()
    ]
    saturated = [
        titles.get(name, name)
        for name, figures in found.items()
        if figures.get("load_share", 0) > SATURATED
    ]
    lines = _markdown([head, *rows])
    if saturated:
        lines += ["", f"The load used its whole core with: {', '.join(saturated)}."]
    return "\n".join(lines)


def target_table(targets: Iterable[Target], found: Medians) -> str:
    """Return which targets were reached, as a table in Markdown; unmeasured ones are left out."""
    rows = [["to reach", "limit", "measured", ""]]
    for target in targets:
        try:
            value = target.value(found)
        except (KeyError, ZeroDivisionError):
            continue
        sign = "≥" if target.at_least else "≤"
        rows.append(
            [
                target.title,
                f"{sign} {target.limit:g}{target.unit}",
                f"{value:.2f}{target.unit}" if value < 100 else f"{value:.0f}{target.unit}",
                "reached" if target.reached(value) else "**not reached**",
            ]
        )
    return "\n".join(_markdown(rows)) if len(rows) > 1 else ""


def _cell(figures: Figures, column: Column) -> str:
    value = figures.get(column.figure)
    return "" if value is None else f"{value * column.scale:,.{column.digits}f}"


def _times(column: Column, figures: Figures, own: Figures | None) -> str:
    if not own or not own.get(column.figure) or not figures.get(column.figure):
        return ""
    ratio = figures[column.figure] / own[column.figure]
    return f"{1 / ratio if column.more_is_better else ratio:.2f}"


def _markdown(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return lines
