"""``script/cluster`` starts a cluster that works, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from local_cluster import programs
from local_cluster.__main__ import main
from local_cluster.waiting import eventually
from tests.support import needs
from tests.support.paths import ROOT

WITH_ANOTHER_POSTGRESQL = """
import sys
from pathlib import Path
from local_cluster import __main__, private_folder, programs
programs.POSTGRESQL_FOLDERS = Path(sys.argv[1])
private_folder.unprivileged = lambda: None
__main__.main([])
"""


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
    needs.all_of_a_cluster()
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


@pytest.mark.parametrize("also_without", [[], ["nginx"]])
def test_all_programs_that_are_missing_are_named_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also_without: list[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SYSTEM_FOLDERS", "")
    monkeypatch.setattr(programs, "POSTGRESQL_FOLDERS", tmp_path)
    for command in {"initdb", "ps", "nginx", "apt-get"} - set(also_without):
        (tmp_path / command).touch(0o700)
    with pytest.raises(SystemExit) as ended:
        main([])
    named, packages = str(ended.value).removesuffix(".").split(";")
    assert ("Redis" in named, "nginx" in named) == (True, bool(also_without))
    assert packages.split("apt-get install ")[1].split() == [
        "redis-server",
        *(f"{command}-light" for command in also_without),
    ]


def test_a_cluster_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    needs.all_of_a_cluster()
    initdb = tmp_path / "17" / "bin" / "initdb"
    initdb.parent.mkdir(parents=True)
    initdb.write_text("#!/bin/sh\necho no space for $2 >&2\nexit 1\n")
    initdb.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITH_ANOTHER_POSTGRESQL, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    reason = re.search(r"did not start: no space for (\S+)", done.stderr)
    assert reason, done.stderr
    assert not Path(reason[1]).parent.exists()


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
