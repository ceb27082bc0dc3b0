"""Backups that docs/operations.md tells how to make are whole, though everything goes on meanwhile.

The commands are those of the document, run in a folder laid out as it says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql
from tests.support import needs
from tests.support.paths import ROOT

BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
# Copies the database with the real program, but not before files have come and gone, and waits for
# as much afterwards.
SLOW = """#!/bin/sh
await() {{
  until [ "$(wc -l < {progress})" -ge $(($1 + 6)) ]; do sleep 0.02; done
}}
await "$(wc -l < {progress})"
{program} "$@"
status=$?
await "$(wc -l < {progress})"
exit $status
"""
FILES = 150


def block(*words: str) -> str:
    """Return the one block of commands in the document that has all these words."""
    found: list[str] = [text for text in BLOCKS if all(word in text for word in words)]
    assert len(found) == 1, (words, found)
    return found[0]


class Backed:
    """A server in a folder of its own, with commands that are run there."""

    def __init__(self, folder: Path, url: str, programs: Path | None) -> None:
        self.folder = folder
        (folder / "instance").mkdir(parents=True)
        self.server = LiveServer(
            folder, DATABASE_URL=url, PRESENCE_UPLOADS_PER_MINUTE=0, PRESENCE_MAX_FILES_PER_PEER=0
        )
        self.rooms = f"{self.server.url}/api/webrtc/rooms"
        self._programs = programs

    def run(self, commands: str, slow: str | None = None, **more: str) -> str:
        """Run commands in the folder, with one program of theirs `slow`; return what they print.

        `more` are variables of the environment besides the server's settings.
        """
        shims = self.folder / "bin"
        shims.mkdir(exist_ok=True)
        path = f"{self._programs}:{os.environ['PATH']}" if self._programs else os.environ["PATH"]
        if slow:
            program = shutil.which(slow, path=path)
            shim = SLOW.format(program=program, progress=self.folder / "progress")
            (shims / slow).write_text(shim)
            (shims / slow).chmod(0o700)
            path = f"{shims}:{path}"
        environment = {**os.environ, **self.server.settings, **more, "PATH": path}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upload(self, content: str) -> str:
        """Upload a file; return its stored name."""
        answer = requests.post(
            f"{self.server.url}/api/webrtc/upload",
            data={"room_name": "r", "peer_id": "ada"},
            files={"file": ("a.txt", content.encode())},
            timeout=20,
        )
        assert answer.ok, answer.text
        return str(answer.json()["filename"])


@pytest.fixture(params=["sqlite", "postgresql"])
def backed(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Backed]:
    folder = tmp_path / "server"
    url, programs = f"sqlite:///{folder}/instance/presence.db", None
    if request.param == "postgresql":
        postgresql: PrivatePostgresql = request.getfixturevalue("postgresql")
        url, programs = postgresql.new_database(), needs.postgresql_programs()
    else:
        needs.program("sqlite3")
    made = Backed(folder, url, programs)
    made.server.start()
    yield made
    made.server.kill()


def changes(backed: Backed, old: list[str], stop: threading.Event) -> None:
    """Let files come and go, one after the other, and write down each in ``progress``."""
    with (backed.folder / "progress").open("a", buffering=1) as progress:
        for name in old:
            if stop.is_set():
                return
            backed.upload("came in meanwhile")
            progress.write(f"{name}\n")
            requests.delete(f"{backed.rooms}/r/files/{name}", timeout=20)


def test_a_backup_made_while_files_come_and_go_is_whole(
    backed: Backed, request: pytest.FixtureRequest
) -> None:
    is_sqlite = "sqlite" in backed.server.settings["DATABASE_URL"]
    program, copy = ("sqlite3", "VACUUM INTO '") if is_sqlite else ("pg_dump", "pg_dump ")
    join = {"peer_id": "ada", "username": "Ada", "user_data": {"kept": True}}
    assert requests.post(f"{backed.rooms}/r/join", json=join, timeout=20).ok
    old = [backed.upload(f"number {number}") for number in range(FILES)]
    (backed.folder / "progress").touch()
    stop = threading.Event()
    writer = threading.Thread(target=changes, args=(backed, old, stop))
    writer.start()
    try:
        printed = backed.run(block("copy() {", copy), slow=program)
    finally:
        stop.set()
        writer.join()
    if is_sqlite:
        assert printed == ""
    (backup,) = (backed.folder / "backups").iterdir()
    assert backup.stat().st_mode & 0o077 == 0

    backed.upload("lost with what happened after the backup")
    backed.server.stop()
    restored = block("mv instance" if is_sqlite else "pg_restore")
    backed.run(restored, backup=str(backup))
    backed.server.start()

    (peer,) = requests.get(f"{backed.rooms}/r", timeout=20).json()["peers"]
    assert peer["user_data"] == {"kept": True}
    stored: list[Any] = peer["uploaded_files"]
    # Some of the files had come in by then, and some had gone.
    assert 0 < len([path for path in stored if path.rpartition("/")[2] in old]) < FILES
    assert len([path for path in stored if path.rpartition("/")[2] not in old]) > 0
    for path in stored:
        answer = requests.get(f"{backed.server.url}/{path}", timeout=20)
        assert answer.status_code == 200, path
    backed.upload("goes on")


def test_python_copies_the_database_where_sqlite3_is_missing(tmp_path: Path) -> None:
    made = Backed(tmp_path / "server", f"sqlite:///{tmp_path}/server/instance/presence.db", None)
    made.server.start()
    try:
        python = made.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        backup = tmp_path / "backup"
        backup.mkdir()
        made.run(block("import sqlite3"), backup=str(backup))
        assert (backup / "presence.db").stat().st_size > 0
    finally:
        made.server.kill()
