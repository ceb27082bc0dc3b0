"""``python -m benchmarks``: every workload on this server and its rivals, in turns."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks import catalogue, machine, publishing, report
from benchmarks.load import ConnectionLost, Load
from benchmarks.measuring import FULL, QUICK, TINY, Figures, Run, Sizes
from benchmarks.report import Rounds
from benchmarks.servers import RIVALS, ROOT, Contender, Server, presence, rivals

_SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}
_PACKAGES = (
    "eventlet",
    "gunicorn",
    "Flask",
    "Flask-SocketIO",
    "python-socketio",
    "python-engineio",
    "SQLAlchemy",
    "orjson",
)


def measure(contender: Contender, workload: catalogue.Workload, sizes: Sizes, core: int) -> Figures:
    """Return the figures of one workload on one server, started for it and stopped afterwards.

    Raises `ConnectionLost` or `RuntimeError` where the server does not hold out.
    """
    server = Server(contender, core)
    try:
        return measure_on(server, workload, sizes)
    except ConnectionLost as error:
        raise ConnectionLost(f"{error}\n{server.log_tail()}") from error
    finally:
        server.stop()


def measure_on(server: Server, workload: catalogue.Workload, sizes: Sizes) -> Figures:
    """Return the figures of one workload on a server that runs; raises `ConnectionLost`."""
    load = Load(server.port)
    try:
        return workload.measure(Run(server, load, sizes))
    finally:
        load.close()


def run(
    contenders: list[Contender], workloads: list[catalogue.Workload], sizes: Sizes, rounds: int
) -> Rounds:
    """Run every workload on every server that has what it needs, in turns, and tell each figure."""
    load_core, server_core = machine.cores()
    os.sched_setaffinity(0, {load_core})
    machine.raise_file_limit()
    taken: Rounds = {
        workload.name: {one.name: [] for one in contenders if workload.needs & one.offers}
        for workload in workloads
    }
    for number in range(rounds):
        for workload in workloads:
            for contender in contenders:
                if contender.name not in taken[workload.name]:
                    continue
                try:
                    figures = measure(contender, workload, sizes, server_core)
                except (ConnectionLost, RuntimeError, OSError) as error:
                    print(f"{workload.name}: {contender.name}: {error}", file=sys.stderr)
                    continue
                taken[workload.name][contender.name].append(figures)
                column = workload.columns[0]
                print(
                    f"round {number + 1}/{rounds}  {workload.name:24} {contender.name:16} "
                    f"{figures[column.figure] * column.scale:12,.{column.digits}f} "
                    f"{column.heading}",
                    file=sys.stderr,
                    flush=True,
                )
    return taken


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this server and its rivals in turns on this machine.",
    )
    parser.add_argument("--only", metavar="WORKLOAD,…", help="these workloads only")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default 5)")
    parser.add_argument(
        "--rivals", metavar="RIVAL,…", help="these rivals only; “none” for this server alone"
    )
    parser.add_argument(
        "--against",
        metavar="NAME=FOLDER",
        action="append",
        default=[],
        help="measure another working tree of this server as well, such as before=../main",
    )
    parser.add_argument("--quick", action="store_true", help="smaller workloads, two rounds")
    parser.add_argument("--size", choices=_SIZES, default="full", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the figures of every round to this file")
    parser.add_argument("--svg", type=Path, help="write a plot of the medians to this file")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write tables, figures and plot into the documents of this repository",
    )
    parser.add_argument("--list", action="store_true", help="name the workloads and rivals")
    parsed = parser.parse_args()
    if parsed.publish and (parsed.quick or parsed.only or parsed.rivals or parsed.against):
        parser.error("--publish is for a run of everything")
    if (parsed.svg or parsed.publish) and find_spec("matplotlib") is None:
        parser.error("the plot needs matplotlib: pip install -r requirements-dev.txt")
    if parsed.quick:
        parsed.size, parsed.rounds = "quick", min(parsed.rounds, 2)
    return parsed


def chosen(names: str | None, known: list[str]) -> list[str]:
    """Return the known names that a list separated by commas asks for; ends on one unknown."""
    if names is None:
        return known
    asked = [name for name in names.split(",") if name and name != "none"]
    unknown = sorted(set(asked) - set(known))
    if unknown:
        sys.exit(f"There is no {', '.join(unknown)}; there are {', '.join(known)}.")
    return [name for name in known if name in asked]


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def draw(found: catalogue.Medians, titles: dict[str, str], storms: tuple[int, ...]) -> str:
    """Return the plot of some medians as SVG."""
    from benchmarks import plot  # noqa: PLC0415  (needs a second, and what only developers have)

    return plot.svg(found, titles, storms)


def main() -> None:
    """Run what the command line asks for and print the tables."""
    asked = arguments()
    sizes = _SIZES[asked.size]
    workloads = catalogue.workloads(sizes)
    opponents = {rival.name: rival for rival in rivals()}
    if asked.list:
        for workload in workloads.values():
            print(f"{workload.name:24} {workload.title}")
        for rival in opponents.values():
            print(f"{rival.name:24} {rival.title}")
        return

    contenders = [presence()]
    for pair in asked.against:
        name, _, folder = pair.partition("=")
        contenders.append(presence(name, Path(folder).resolve()))
    for name in chosen(asked.rivals, list(opponents)):
        reason = opponents[name].missing()
        if reason:
            print(f"{name} is left out: {reason}.", file=sys.stderr)
        else:
            contenders.append(opponents[name])

    todo = [workloads[name] for name in chosen(asked.only, list(workloads))]
    rounds = run(contenders, todo, sizes, asked.rounds)
    found = report.medians(rounds)
    titles = {contender.name: contender.title for contender in contenders}
    about = {
        "commit": machine.commit(ROOT),
        **machine.description(),
        "rounds": f"{asked.rounds}, size {asked.size}",
        "load": f"at most {report.busiest_load(rounds):.0%} of its core",
        "versions": _listed(machine.python_versions(_PACKAGES)),
    }
    if any(contender.needs_node for contender in contenders):
        about["rivals on Node"] = _listed(machine.node_versions(RIVALS / "package.json"))
    tables = [
        report.table(workload, found[workload.name], titles)
        for workload in todo
        if found[workload.name]
    ]
    facts = "\n".join(f"* {name}: {value}" for name, value in about.items())
    reached = report.target_table(catalogue.targets(sizes), found)
    text = "\n\n".join(part for part in (facts, reached, *tables) if part)
    print(text)
    raw = publishing.raw(about, rounds)
    if asked.json:
        asked.json.write_text(raw)
    if asked.svg:
        asked.svg.write_text(draw(found, titles, sizes.storms))
    if asked.publish:
        publishing.publish(text, raw, draw(found, titles, sizes.storms))
    missing = report.incomplete(rounds, asked.rounds)
    if missing:
        sys.exit(f"Not measured in every round: {', '.join(missing)}.")


if __name__ == "__main__":
    main()
