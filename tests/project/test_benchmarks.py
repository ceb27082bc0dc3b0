"""The benchmarks run, at a tiny size; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import catalogue, floors, machine, publishing, report
from benchmarks.__main__ import measure_on
from benchmarks.measuring import FULL, TINY
from benchmarks.report import Rounds
from benchmarks.servers import Server, presence, rivals
from tests.support import needs
from tests.support.paths import ROOT

WORKLOADS = catalogue.workloads(TINY)
RIVALS = {rival.name: rival for rival in rivals()}


@pytest.fixture(scope="module")
def own() -> Generator[Server]:
    """This server as the benchmarks start it, for all their workloads."""
    server = Server(presence(), machine.cores()[1])
    yield server
    server.stop()


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_finds_every_figure_of_its_table(name: str, own: Server) -> None:
    workload = WORKLOADS[name]
    figures = measure_on(own, workload, TINY)
    assert {column.figure for column in workload.columns} <= set(figures)
    assert figures["load_share"] > 0


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_does_the_work_it_is_compared_by(name: str) -> None:
    rival = RIVALS[name]
    if rival.needs_node:
        needs.program("node")
    if rival.missing():
        # Their packages are built from source, which takes too long for every run on CI.
        pytest.skip(rival.missing())
    server = Server(rival, machine.cores()[1])
    try:
        for workload in WORKLOADS.values():
            if workload.needs & rival.offers and workload.name in {"updates", "relay", "rest"}:
                figures = measure_on(server, workload, TINY)
                assert figures[workload.columns[0].figure] > 0
    finally:
        server.stop()


def test_the_floors_of_the_machine_and_of_the_stack_are_found() -> None:
    assert floors.sends(peers=3, updates=5, seconds=0.1) > 0
    assert 0 < floors.joins(floors.bare_flask(), TINY) < 1


def test_the_command_prints_tables_and_targets_and_writes_both_files(tmp_path: Path) -> None:
    needs.python_package("matplotlib")
    asked = ["--size=tiny", "--rounds=1", "--only=relay", "--rivals=eventlet"]
    figures, picture = tmp_path / "figures.json", tmp_path / "plot.svg"
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", *asked, f"--json={figures}", f"--svg={picture}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "| Presence " in result.stdout
    assert "relay: rate, of bare eventlet" in result.stdout
    measured = json.loads(figures.read_text())["measured"]
    assert {row["server"] for row in measured} == {"presence", "eventlet"}
    assert all(row["rounds"][0]["per_s"] > 0 for row in measured)
    texts = [element.text for element in ElementTree.fromstring(picture.read_text()).iter()]
    assert "Signals relayed" in texts
    assert "Presence" in texts


def test_cursors_that_move_are_measured_by_what_they_cost() -> None:
    asked = ["--peers=4", "--seconds=0.5", "--rounds=1", "--only", "one worker"]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.cursors", *asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert re.search(r"one worker +\d+% of a core  median +[\d.]+ ms", result.stdout), result.stderr


def test_a_plot_is_the_same_each_time_and_has_a_dark_side() -> None:
    needs.python_package("matplotlib")
    from benchmarks import plot  # noqa: PLC0415

    rounds: Rounds = {}
    for row in json.loads(publishing.FIGURES.read_text())["measured"]:
        rounds.setdefault(row["workload"], {})[row["server"]] = row["rounds"]
    found, titles = report.medians(rounds), {"presence": "Presence", "node": "$Node$ <&> more"}
    drawn = plot.svg(found, titles, FULL.storms)
    assert plot.svg(found, titles, FULL.storms) == drawn

    style, _, picture = drawn.partition("</style>")
    for colour in set(re.findall(r"(?:fill|stroke): #\w+", picture)):
        assert f'[style*="{colour}"]' in style, colour
    texts = {element.text for element in ElementTree.fromstring(drawn).iter()}
    assert {*titles.values(), "peerjs", "300 join at once", "One join in a storm of N"} <= texts
    assert f"{found['joined']['presence']['kb_per_joined']:.0f}" in texts
    assert plot.svg({}, titles, FULL.storms).startswith("<?xml")  # nothing was measured
