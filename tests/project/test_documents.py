"""The documents are true: every setting, route, event and command they name exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests

from app import create_app
from local_cluster.live_server import LiveServer
from presence.config import VERSION, Settings
from presence.transport.pages.packages import client_packages
from tests.support import needs

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "RESULTS.md",
    ROOT / "benchmarks" / "rivals" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def shown(default: Any) -> str:
    """How the documents write a default."""
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


@pytest.mark.parametrize(
    "setting", fields(Settings), ids=lambda setting: setting.metadata["variable"]
)
def test_every_setting_stands_in_the_example_and_the_readme(setting: Any) -> None:
    variable, description = setting.metadata["variable"], setting.metadata["description"]
    example = (ROOT / ".env.example").read_text()
    assert f"# {description}\n# {variable}={shown(setting.default)}\n" in example
    row = next(line for line in README.splitlines() if line.startswith(f"| `{variable}` "))
    assert description in row
    assert f"`{shown(setting.default)}`" in row or (setting.default == "" and "| none |" in row)


def test_the_documents_name_no_setting_that_does_not_exist() -> None:
    known = {setting.metadata["variable"] for setting in fields(Settings)}
    for path in [*DOCUMENTS, ROOT / ".env.example"]:
        # How much the tests do is no setting of the server.
        named = set(re.findall(r"\bPRESENCE_(?!TEST_)[A-Z_]+[A-Z]\b", path.read_text()))
        assert named <= known, path.name


def test_every_route_stands_in_the_readme(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/x.db"))
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/api/", "/uploads/")):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert re.search(rf"`{method} {re.escape(path)}[`?]", README), f"{method} {path}"


def test_every_event_stands_in_the_readme(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/x.db"))
    handlers = app.extensions["presence"].socketio.server.handlers["/"]
    for event in set(handlers) - {"*", "connect", "disconnect"}:
        assert f"`{event}`" in README, event


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_threat_has_a_test_that_exists() -> None:
    table = (ROOT / "SECURITY.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row.rsplit("|", 2)[1])
        assert named, row
        for path in named:
            assert (ROOT / path.split("::")[0]).exists(), path


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_tour_with_curl_runs_as_written(server: LiveServer, tmp_path: Path) -> None:
    needs.program("curl")
    tour = next(block for block in blocks("bash") if "curl" in block)
    tour = tour.replace("http://127.0.0.1:3001", server.url).replace("curl ", "curl -sSf -w '\\n' ")
    result = subprocess.run(
        ["bash", "-eu"],
        input=tour,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines() if line]
    assert answers[0]["active_peers"] == 1
    assert answers[1]["user_data"] == {"role": "host", "hand": "raised"}
    assert answers[2]["original_filename"] == "agenda.txt"
    assert answers[3]["peers"][0]["uploaded_files"] == [answers[2]["file_path"]]
    assert answers[4]["is_active"] is False


def run_in_an_empty_folder(folder: Path, name: str, program: str, *command: str) -> str:
    """Run a program as a stranger does who saved it there; return what it printed."""
    (folder / name).write_text(program)
    result = subprocess.run(
        [*command, name], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def installed_packages(folder: Path) -> None:
    """Put what npm installs into a folder: this project's client, and Socket.IO's."""
    for name, content in client_packages.javascript_files(
        client_packages.JAVASCRIPT, VERSION
    ).items():
        path = folder / "node_modules" / "presence-client" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path in (needs.JAVASCRIPT / "node_modules").iterdir():
        if path.name != "presence-client":
            (folder / "node_modules" / path.name).symlink_to(path)


@pytest.fixture
def busy_studio(server: LiveServer) -> Generator[None]:
    """Let the room of the tours have a peer that is away, and change all the time.

    Its lists then come after the answers, as they may on any busy machine.
    """
    path = f"{server.url}/api/webrtc/rooms/studio"
    ended = threading.Event()

    def change() -> None:
        with requests.Session() as session:
            count = 0
            while not ended.wait(0.01):
                session.post(f"{path}/data", json={"room_data": {"count": count}}, timeout=10)
                count += 1

    requests.post(f"{path}/join", json={"peer_id": "zoe", "username": "Zoe"}, timeout=10)
    requests.post(f"{path}/leave?peer_id=zoe", timeout=10)
    changing = threading.Thread(target=change)
    changing.start()
    yield
    ended.set()
    changing.join()


@pytest.mark.usefixtures("busy_studio")
def test_the_tour_in_python_runs_as_written(server: LiveServer, tmp_path: Path) -> None:
    (tour,) = blocks("python")
    tour = tour.replace("http://127.0.0.1:3001", server.url)
    printed = run_in_an_empty_folder(tmp_path, "tour.py", tour, sys.executable)
    assert "['Alan']" in printed
    assert "1 here" in printed


@pytest.mark.usefixtures("busy_studio")
def test_the_tour_in_javascript_runs_as_written(server: LiveServer, tmp_path: Path) -> None:
    node = needs.node_with_socketio_client()
    installed_packages(tmp_path)
    tour = next(block for block in blocks("js") if "socket.io-client" in block)
    tour = tour.replace("http://127.0.0.1:3001", server.url)
    printed = run_in_an_empty_folder(tmp_path, "tour.mjs", tour, node)
    assert "studio: 1 here [ 'Grace' ]" in printed
    assert "presenting" in printed


@pytest.mark.usefixtures("busy_studio")
def test_the_first_lines_of_a_client_run_as_written(server: LiveServer, tmp_path: Path) -> None:
    node = needs.node_with_socketio_client()
    installed_packages(tmp_path)
    lines = next(block for block in blocks("js") if "presence-client" in block)
    assert lines.count("\n") <= 7
    # Nobody waits for a minute here.
    lines = lines.replace("http://127.0.0.1:3001", server.url).replace("60_000", "500")
    printed = run_in_an_empty_folder(tmp_path, "here.mjs", lines, node)
    assert "[ 'Ada' ]" in printed
    archive = requests.get(f"{server.url}/clients/presence-client.tgz", timeout=10)
    assert archive.ok


def test_the_lines_that_lock_a_server_print_a_token(tmp_path: Path) -> None:
    (lines,) = blocks("sh")
    lines = lines.replace("SECRET_KEY=…", f"SECRET_KEY={'k' * 48}")
    folder = Path(sys.executable).parent
    result = subprocess.run(
        [needs.program("bash", "bash"), "-eu"],
        input=lines,
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
            "UPLOAD_DIR": str(tmp_path / "up"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(".") == 2, result.stdout


def test_the_picture_of_the_room_page_is_small() -> None:
    ((alternative, path),) = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", README.split("## Start")[0])
    assert len(alternative) > 40
    assert 10_000 < (ROOT / path).stat().st_size < 120_000


def test_the_licence_is_said_to_be_the_owners_to_choose() -> None:
    assert "None has been chosen yet: the owner decides." in README.split("## Licence")[1]
    for folder in (ROOT / "static" / "vendor").iterdir():
        assert (folder / "LICENSE").is_file(), folder
