"""The page says how long ago something was as its script does: nothing changes words on loading."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta

import pytest

from presence.domain.values import clock
from presence.transport.pages import text_filters
from tests.support import needs
from tests.support.paths import ROOT

NOW = datetime(2026, 5, 4, 10, 30)
UNITS = [1, 5, 60, 3600, 86_400]  # where the words change, in seconds
SECONDS = sorted(
    {
        unit * times + beside
        for unit in UNITS
        for times in (1, 2, 23, 24, 59, 60, 400)
        for beside in (-0.999, -0.001, 0, 0.001, 0.999)
    }
)
# What the script asks of a page, and no more: this runs in Node, where there is none.
SCRIPT = """
globalThis.document = {
  hidden: true,
  documentElement: { dataset: { now: new Date().toISOString() } },
  addEventListener() {},
};
const { source, now, instants } = JSON.parse(process.argv[1]);
const { ago } = await import("data:text/javascript," + encodeURIComponent(source));
console.log(JSON.stringify(instants.map((instant) => ago(instant, Date.parse(now)))));
process.exit();
"""


def test_a_page_and_its_script_word_times_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    node = needs.program("node")
    monkeypatch.setattr(clock, "now", lambda: NOW)
    instants = [NOW - timedelta(seconds=seconds) for seconds in SECONDS]
    asked = {
        "source": (ROOT / "static" / "js" / "times.js").read_text(),
        "now": text_filters.iso(NOW),
        "instants": [text_filters.iso(instant) for instant in instants],
    }
    said = subprocess.run(
        [node, "--input-type=module", "--eval", SCRIPT, json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    in_words = [text_filters.ago(instant) for instant in instants]
    assert json.loads(said.stdout) == in_words
    assert {"just now", "5 s ago", "59 min ago", "23 h ago", "yesterday"} <= set(in_words)
