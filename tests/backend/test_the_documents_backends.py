"""The backends in docs/backend.md do what they say, as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.waiting import eventually
from tests.backend.receivers import OLD_SECRET, SECRET
from tests.support import commands, needs
from tests.support.keys import KEY, LOCKED, bearer
from tests.support.paths import ROOT

NewServer = Callable[..., LiveServer]


def block(language: str) -> str:
    """Return the only program in a language that the document has."""
    text = (ROOT / "docs" / "backend.md").read_text()
    (program,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(program)


class Backend:
    """One of the two programs, in a process of its own."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        if kind == "Flask":
            (folder / "backend.py").write_text(block("python"))
            flask = [sys.executable, "-m", "flask", "--app", "backend", "run", "--port"]
            self._command = [*flask, str(self.port)]
        else:
            needs.npm_package("standardwebhooks")
            (folder / "node_modules").symlink_to(needs.JAVASCRIPT / "node_modules")
            (folder / "backend.mjs").write_text(block("js"))
            self._command = [needs.program("node"), "backend.mjs"]

    def start(self, server: LiveServer, secret: str = SECRET) -> None:
        environment = {
            "SERVER_ADDRESS": server.url,
            "SECRET_KEY": KEY,
            "WEBHOOK_SECRET": secret,
            "STATE_FILE": "state.json",
            "PORT": str(self.port),
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self.here("any") is not None, "it answers", 30)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def here(self, room: str) -> Any:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/here/{room}", timeout=5).json()
        return None

    def token(self, peer_id: str, room: str) -> str:
        asked = {"peer_id": peer_id, "room": room}
        return str(requests.post(f"{self.url}/token", json=asked, timeout=5).json()["token"])


@pytest.fixture(params=["Flask", "Node"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Backend]:
    folder = tmp_path / "backend"
    folder.mkdir()
    made = Backend(request.param, folder)
    yield made
    made.stop()


def test_it_gives_tokens_is_told_and_reads_on_where_it_was(
    new_server: NewServer, backend: Backend
) -> None:
    server = new_server(
        **LOCKED,
        PRESENCE_KEEP_EVENTS="1d",
        PRESENCE_WEBHOOK_URLS=f"{backend.url}/presence",
        PRESENCE_WEBHOOK_SECRETS=SECRET,
    )

    def call(verb: str, name: str, token: str) -> None:
        answer = requests.post(
            f"{server.url}/api/webrtc/rooms/studio/{verb}?peer_id={name}",
            json={"peer_id": name, "username": name.title()},
            headers=bearer(token),
            timeout=10,
        )
        assert answer.ok, answer.text

    backend.start(server)
    tokens = {name: backend.token(name, "studio") for name in ("ada", "bob", "cy")}
    call("join", "ada", tokens["ada"])
    call("join", "bob", tokens["bob"])
    eventually(lambda: backend.here("studio") == {"ada": "Ada", "bob": "Bob"}, "it was told")
    backend.stop()
    call("leave", "ada", tokens["ada"])
    call("join", "cy", tokens["cy"])
    backend.start(server)
    # What happened just before it began is told by the webhook, if not read.
    eventually(lambda: backend.here("studio") == {"bob": "Bob", "cy": "Cy"}, "it has caught up")
    call("leave", "bob", tokens["bob"])
    eventually(lambda: backend.here("studio") == {"cy": "Cy"}, "it is told again", 70)
    # Whoever does not have the secret is not believed.
    backend.stop()
    backend.start(server, OLD_SECRET)
    call("leave", "cy", tokens["cy"])
    eventually(lambda: "it answered 401" in status(server), "it is refused", 30)
    assert backend.here("studio") == {"cy": "Cy"}


def test_what_nobody_signed_is_refused_and_ends_nothing(
    new_server: NewServer, backend: Backend
) -> None:
    server = new_server(**LOCKED, PRESENCE_KEEP_EVENTS="1d")
    backend.start(server)
    now = str(int(time.time()))
    for signature in ("v1,YQ==", "v1,@@@", "no comma", "v1,a,b", "", "v1", ","):
        for at in (now, "x", "1e400", "-1", ""):
            for body in (b"{}", b"\xff", b""):
                signed = {
                    "webhook-id": "m",
                    "webhook-timestamp": at,
                    "webhook-signature": signature,
                }
                answer = requests.post(f"{backend.url}/presence", body, headers=signed, timeout=10)
                assert answer.status_code == 401, (signed, body)
    for path in ("/token", "/presence", "/here/%ff", "/nothing"):
        for body in (b"", b"{", b"null", b"\xff"):
            requests.post(backend.url + path, body, timeout=10)
            requests.get(backend.url + path, timeout=10)
    assert backend.here("studio") == {}


def status(server: LiveServer) -> str:
    return commands.flask("webhooks", "status", **server.settings).stdout
