"""What keeps everybody waiting is measured, and named in the log."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# One process under eventlet, in which a route and an event stand still for as long as they are told
# to, without a word to the hub.
_SERVER = """
import eventlet, sys
eventlet.monkey_patch()
from pydantic import BaseModel
from app import create_app
from presence.config import Settings
from presence.transport.events import dispatch
from presence.transport.wire import described
from presence.transport.wire.needs import PUBLIC
from presence.transport.process import stall_meter
from presence.transport.process.runtime import Runtime

stand_still = eventlet.patcher.original("time").sleep
folder, threshold, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
app = create_app(Settings(
    database_url=f"sqlite:///{folder}/x.db", upload_dir=f"{folder}/up", stall_seconds=threshold
))
run = app.extensions["presence"]

@described.event(message=None, answer=BaseModel)
def block(run, sid, data):
    stand_still(seconds)
    return {}

@app.get("/block/<name>")
def route(name):
    stand_still(seconds)
    return "done"

dispatch.register(run, "block", block, PUBLIC)
# One is named in a second; on a busy machine anything else may stand still within it.
stall_meter._QUIET_SECONDS = 0
run.start()
eventlet.sleep(0.2)
app.test_client().get("/block/a%0Aforged%20line")
eventlet.sleep(0.2)
dispatch.answer(run, "block", "nobody", run.event_handlers["block"][0], ())
eventlet.sleep(0.2)
for bound, count in zip([*run.counters.stalls.bounds, "more"], run.counters.stalls.counts):
    print(bound, count)
"""


def served(folder: Path, threshold: float, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SERVER, str(folder), str(threshold), str(seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


def told(log: str) -> list[str]:
    return re.findall(r"WARNING \S*stall_meter: (.*)", log)


def test_an_event_and_a_route_that_stand_still_are_named(tmp_path: Path) -> None:
    done = served(tmp_path, 0.1, 0.8)
    warnings = told(done.stderr)
    request = next(line for line in warnings if "GET /block" in line)
    event = next(line for line in warnings if "the event block" in line)
    for line in (request, event):
        assert re.search(r"kept everybody waiting for (0\.[789]|[1-9])", line), line
    assert not any(line.startswith("forged") for line in done.stderr.splitlines())
    counts = dict(line.split() for line in done.stdout.splitlines())
    assert sum(int(counts[bound]) for bound in ("1.0", "2.5", "10.0", "more")) >= 2


@pytest.mark.parametrize("threshold", [0, 30])
def test_nothing_is_named_below_the_threshold(tmp_path: Path, threshold: float) -> None:
    assert told(served(tmp_path, threshold, 0.3).stderr) == []
