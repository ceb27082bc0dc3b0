"""The client as a package: built, installed by itself, typed, and used as documented."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import presence_client
import pytest

from presence.config import VERSION
from presence.transport.pages.packages import client_packages

from .support import ROOT, LiveServer, eventually

PACKAGE = ROOT / "clients" / "python"
TYPED = """
from presence_client import AsyncClient, Client, Joined, PresenceError, Signal


def blocking(url: str) -> list[str]:
    client = Client(url, peer_id="ada", token=lambda: "token")

    @client.on("signal")
    def heard(signal: Signal) -> None:
        print((signal["from"] or "the server").upper(), signal["data"])

    joined: Joined = client.join("studio", user_data={"role": "host"})
    client.update(lambda data: {"count": int(data.get("count", 0)) + 1})
    try:
        version: int = client.update({"a": 1}, if_version=joined["version"])["version"]
        print(version)
    except PresenceError as error:
        print(error.code, error.detail)
    return [peer["peer_id"] for peer in client.wait_for(lambda c: c.active_peers)]


async def of_asyncio(url: str) -> None:
    async def token() -> str:
        return "token"

    async with AsyncClient(url, token=token) as client:
        left = await client.leave()
        print(left["reason"] if left else client.state == "idle")
"""


def run(*command: str | Path, cwd: str | Path | None = None) -> str:
    """Run a command, and return what it prints."""
    ended = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into an environment of its own; returns its Python."""
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--quiet"]
    run(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, PACKAGE)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == "presence_client-0.0.0-py3-none-any.whl"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", *offline, wheel)
    # What it depends on is lent by the tests' own environment.
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_only_a_server_gives_it_a_version() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert project["version"] == presence_client.__version__ == "0.0.0"
    assert not project.get("dynamic")
    name, files = client_packages.wheel_files(PACKAGE, VERSION)
    assert name == f"presence_client-{VERSION}-py3-none-any.whl"
    assert f'__version__ = "{VERSION}"'.encode() in files["presence_client/__init__.py"]


def test_it_brings_its_types_and_nothing_of_the_server(installed: Path) -> None:
    script = (
        "import sys, pathlib, presence_client;"
        "print(pathlib.Path(presence_client.__file__).parent / 'py.typed');"
        "theirs = {'presence', 'flask', 'flask_socketio', 'sqlalchemy', 'eventlet', 'orjson',"
        " 'pydantic'};"
        "assert not theirs & set(sys.modules), theirs & set(sys.modules)"
    )
    marker = Path(run(installed, "-c", script, cwd="/").strip())
    assert marker.exists()
    assert marker.is_relative_to(installed.parent.parent)


def test_a_program_that_uses_it_passes_the_strictest_check_of_types(
    installed: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(TYPED)
    options = ["--strict", "--config-file=", f"--python-executable={installed}"]
    checked = run(sys.executable, "-m", "mypy", *options, "program.py", cwd=tmp_path)
    assert "Success" in checked


def test_the_programs_of_its_readme_run_as_they_are_written(
    installed: Path, open_server: LiveServer
) -> None:
    text = (PACKAGE / "README.md").read_text()
    programs = re.findall(r"```py\n(.*?)```", text, re.DOTALL)[:2]
    for program, name in zip(programs, ("ada", "alan"), strict=True):
        assert run(installed, "-c", program.replace("http://127.0.0.1:3001", open_server.url)) == (
            f"['{name}']\n"
        )


def test_the_asyncio_example_runs(installed: Path, open_server: LiveServer, room: str) -> None:
    example = ROOT / "examples" / "python_asyncio.py"
    running = subprocess.Popen(
        [installed, example, open_server.url, room], stdout=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    assert running.stdout
    while not any("1 active" in line for line in lines):
        lines.append(running.stdout.readline())
        assert lines[-1], lines
    assert "asyncio is here\n" in lines
    with presence_client.Client(open_server.url, peer_id="ada") as ada:
        answers: list[presence_client.Signal] = []
        ada.on("signal", answers.append)
        ada.join(room)
        ada.signal("asyncio", "well?", type="question")
        eventually(lambda: answers, "it answers")
        assert answers[0]["data"] == {"echo": "well?"}
    running.terminate()
    running.communicate(timeout=10)
