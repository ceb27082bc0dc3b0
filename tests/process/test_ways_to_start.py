"""Every way to start the server serves the same app, WebSocket included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings, unknown_settings
from tests.support.clients import PythonClient, hears
from tests.support.paths import ROOT

FLASK = [sys.executable, "-m", "flask"]
WAYS = {
    "gunicorn": [sys.executable, "-m", "gunicorn"],
    "flask run": [*FLASK, "run"],
    "flask run --debug": [*FLASK, "run", "--debug"],
    "python app.py": [sys.executable, "app.py"],
}


@pytest.fixture
def start(tmp_path: Path) -> Generator[Callable[..., LiveServer]]:
    made: list[LiveServer] = []

    def make(command: list[str], seconds: float = 60, **settings: Any) -> LiveServer:
        made.append(LiveServer(tmp_path, command=command, **settings))
        return made[-1].start(seconds)

    yield make
    for live in made:
        live.kill()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_same_app_is_served(
    start: Callable[..., LiveServer], way: str, transport: str, connect: Callable[..., Any]
) -> None:
    server = start(WAYS[way])
    client: PythonClient = connect(server, "python", [transport])
    message = {"room_name": "r", "peer_id": "a", "username": "A"}
    assert client.call("join_room", message)["active_peers"] == 1
    hears(client, "peer_list_updated")
    assert requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()["name"] == "r"
    assert requests.get(server.url, timeout=10).headers["Content-Type"].startswith("text/html")
    log = server.log_text()
    assert "Traceback" not in log
    assert "eprecat" not in log
    assert not [line for line in log.splitlines() if "\x1b" in line or r"\x1b" in line]


@pytest.mark.timeout(400)
def test_the_script_installs_what_it_needs_and_says_where_the_page_is(
    start: Callable[..., LiveServer],
) -> None:
    server = start(["script/server"], seconds=300)
    assert f"Presence is ready: {server.url}/" in server.log_text()
    assert server.stop() == 0


def test_the_script_explains_itself_when_python_is_missing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "script", tmp_path / "script")
    (tmp_path / "requirements.txt").write_text("")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "env"):
        os.symlink(str(shutil.which(name)), tools / name)
    result = subprocess.run(
        [str(tools / "bash"), "script/server"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode != 0
    assert "Python 3.11 or newer" in result.stderr


def test_settings_are_read_from_a_file_named_env(tmp_path: Path) -> None:
    """A copy of the project with an .env file, so that nobody's own is touched."""
    shutil.copy(ROOT / "gunicorn.conf.py", tmp_path)
    shutil.copytree(ROOT / "presence", tmp_path / "presence")
    (tmp_path / ".env").write_text("PRESENCE_MAX_PEERS=7\n")
    code = "import runpy; print(runpy.run_path('gunicorn.conf.py')['settings'].max_peers)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "7"


def test_a_mistyped_setting_is_named_with_the_one_it_resembles(
    start: Callable[..., LiveServer],
) -> None:
    server = start(WAYS["gunicorn"], PRESENCE_MAX_PEER="7", PRESENCE_PORT="8080", PRESENCE_X="s3")
    named = [line for line in server.log_text().splitlines() if "is no setting" in line]
    assert [line.split(": ", 1)[1] for line in named] == [
        "PRESENCE_MAX_PEER is no setting of this server and changes nothing; "
        "is PRESENCE_MAX_PEERS meant?",
        "PRESENCE_PORT is no setting of this server and changes nothing; is PORT meant?",
        "PRESENCE_X is no setting of this server and changes nothing",
    ]
    assert "s3" not in "".join(named)


def test_variables_that_others_set_are_not_taken_for_settings() -> None:
    kubernetes = {
        "PRESENCE_SERVICE_HOST": "10.0.0.1",
        "PRESENCE_SERVICE_PORT_HTTP": "3001",
        "PRESENCE_PORT": "tcp://10.0.0.1:3001",
        "PRESENCE_PORT_3001_TCP_ADDR": "10.0.0.1",
        "PRESENCE_DB_PORT": "tcp://10.0.0.2:5432",
    }
    known = {str(item.metadata["variable"]): "" for item in fields(Settings)}
    assert unknown_settings({**known, **kubernetes, "PRESENCE_TEST_SECONDS": "9", "PATH": ""}) == {}


def test_a_command_says_in_a_line_that_a_setting_is_wrong() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "flask", "sweep"],
        cwd=ROOT,
        env=os.environ | {"PRESENCE_KEEP_FILES": "30"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: PRESENCE_KEEP_FILES must be a number followed by")
    assert "Traceback" not in result.stderr


def test_building_the_app_for_a_command_ends_nobodys_session(
    start: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    server = start(WAYS["gunicorn"])
    client = connect(server)
    client.call("join_room", {"room_name": "r", "peer_id": "a", "username": "A"})
    subprocess.run(
        [*FLASK, "routes"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{server.database}"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    room = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()
    assert room["active_peer_count"] == 1


def test_the_debug_reloader_restarts_and_clients_come_back(
    tmp_path: Path, connect: Callable[..., Any]
) -> None:
    """On a copy of the project, because the reloader watches for changed files."""
    project = tmp_path / "project"
    shutil.copytree(
        ROOT,
        project,
        ignore=lambda folder, _names: (
            [".git", ".venv", "node_modules", "instance", "uploads", "tests"]
            if Path(folder) == ROOT
            else []
        ),
    )
    server = LiveServer(tmp_path, command=WAYS["flask run --debug"], cwd=project).start()
    try:
        client = connect(server, "javascript")
        client.call("join_room", {"room_name": "r", "peer_id": "a", "username": "A"})
        (project / "presence" / "errors" / "rooms.py").touch()
        eventually(lambda: not client.connected, "the server restarts", 20)
        eventually(lambda: client.connected, "the client is back", 20)
        eventually(
            lambda: requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()[
                "active_peer_count"
            ],
            "and in its room",
        )
    finally:
        server.kill()
