"""``script/cluster`` starts a cluster that works, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import requests

from local_cluster.live_server import ROOT
from local_cluster.waiting import eventually
from tests import needs


def processes_with(text: str) -> list[str]:
    """Return the command lines of all processes that have this text in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_a_cluster_starts_serves_and_is_gone_after_ctrl_c() -> None:
    needs.postgresql_programs()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "local_cluster", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    url = re.search(r"ready: (\S+)/", said)
    assert url
    room = f"{url[1]}/api/webrtc/rooms/r"
    joined = requests.post(f"{room}/join", json={"peer_id": "a", "username": "A"}, timeout=10)
    assert joined.ok
    for worker in re.findall(r"worker \w+: (\S+)/ ", said):
        answer = requests.get(f"{worker}/api/webrtc/rooms/r", timeout=10).json()
        assert answer["active_peer_count"] == 1
    folders = set(re.findall(r"/tmp/presence-\w+-\w+", said))
    assert len(folders) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    for folder in folders:
        assert not Path(folder).exists()
        eventually(lambda f=folder: not processes_with(f), "its processes are gone")  # type: ignore[misc]


def test_a_number_that_makes_no_sense_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "local_cluster", "many"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "usage" in done.stderr
