"""The project's own clients at a locked server: they show tokens, and fetch fresh ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from local_cluster.live_server import LiveServer
from tests.support import needs
from tests.support.callers import joined
from tests.support.clients import hears, shows
from tests.support.keys import token
from tests.support.paths import ROOT


def test_the_javascript_client_shows_its_token(locked: LiveServer, room: str) -> None:
    made = [token("ada", room, ttl=6), token("ada", room)]
    run = subprocess.run(
        [needs.node_with_socketio_client(), "locked.mjs", locked.url, room, *made],
        cwd=needs.JAVASCRIPT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "without": "token_required",
        "wrong": "token_refused",
        "errors": ["token_failed"],
        "rejoined": "joined",
        "uploaded": 200,
        "ice": True,
        "foreign": "not_granted",
        "fixed": "token_expired",
    }


def test_the_python_example_takes_a_token(locked: LiveServer, room: str) -> None:
    watcher = joined(locked, "bob", room)
    running = subprocess.Popen(
        [sys.executable, "examples/python_client.py", locked.url, room],
        cwd=ROOT,
        env={**os.environ, "TOKEN": token("python", room)},
        stdout=subprocess.PIPE,
    )
    shows(watcher, "python", is_active=True, seconds=30)
    hears(watcher, "file_uploaded")
    running.terminate()
    running.communicate(timeout=10)
    watcher.disconnect()
