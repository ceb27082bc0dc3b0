"""The project's own clients at a locked server: they show tokens, and fetch fresh ones."""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
from presence_client import Client, PresenceError

from tests import needs
from tests.access.callers import ask, joined
from tests.access.keys import token
from tests.clients import hears, shows
from tests.live_server import ROOT, LiveServer


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
        "errors": ["no_token"],
        "rejoined": "joined",
        "uploaded": 200,
        "ice": True,
        "foreign": "not_granted",
        "fixed": "token_expired",
    }


NewClient = Callable[..., Client]


@pytest.fixture
def member(locked: LiveServer) -> Generator[NewClient]:
    """Make the project's Python client for the peer ada; closed after the test."""
    made: list[Client] = []

    def make(shown: Any) -> Client:
        made.append(Client(locked.url, peer_id="ada", token=shown))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_the_python_client_shows_its_token(
    locked: LiveServer, member: NewClient, room: str
) -> None:
    client = member(token("ada", room))
    client.join(room)
    stored = client.upload(io.BytesIO(b"some words"), name="n.txt")
    assert ask(locked, "GET", stored["file_url"]).ok
    assert client.ice_servers()["iceServers"] == []
    with pytest.raises(PresenceError) as raised:
        client.join(f"{room}-other")
    assert raised.value.code == "not_granted"


@pytest.mark.parametrize(
    ("shown", "code"),
    [(None, "token_required"), ("x.y.z", "token_refused"), (lambda: 1 / 0, "token_required")],
)
def test_the_python_client_says_why_it_is_refused(member: NewClient, shown: Any, code: str) -> None:
    with pytest.raises(PresenceError) as raised:
        member(shown).connect()
    assert raised.value.code == code


def test_the_python_client_fetches_a_fresh_token(member: NewClient, room: str) -> None:
    given: queue.SimpleQueue[str] = queue.SimpleQueue()
    given.put(token("ada", room, ttl=2))
    lasting = token("ada", room)
    client = member(lambda: lasting if given.empty() else given.get())
    happened: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    client.on("joined", happened.put)
    client.join(room)
    assert happened.get(timeout=5)["rejoined"] is False
    assert happened.get(timeout=15)["rejoined"] is True
    assert client.state == "joined"


def test_the_python_client_tells_that_its_token_is_over(member: NewClient, room: str) -> None:
    client = member(token("ada", room, ttl=2))
    errors: queue.SimpleQueue[PresenceError] = queue.SimpleQueue()
    client.on("error", errors.put)
    client.join(room)
    assert errors.get(timeout=15).code == "token_expired"


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
