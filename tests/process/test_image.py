"""The image: what it is made of serves by itself, as nobody special, and writes to /data alone.

Its steps are followed without a container engine: what it copies into a folder, its variables and
its commands as they stand in deploy/Dockerfile.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from tests.support.paths import ROOT

# Its instructions, with the lines that belong together as one, and by stage.
_TEXT = (ROOT / "deploy" / "Dockerfile").read_text()
_LINES = re.sub(r"^#.*\n", "", _TEXT, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
INSTRUCTIONS = [tuple(line.split(None, 1)) for line in _LINES if line.strip()]
_LAST = max(n for n, (kind, _) in enumerate(INSTRUCTIONS) if kind == "FROM")
IMAGE = INSTRUCTIONS[_LAST:]


def of(kind: str) -> list[str]:
    """Return what the instructions of a kind say in the image itself."""
    return [text for name, text in IMAGE if name == kind]


def copied() -> list[tuple[str, str]]:
    """Return what of this folder the image has, and where, relative to its root."""
    found = []
    for text in of("COPY"):
        *sources, target = text.split()
        if not text.startswith("--from"):
            found += [
                (source, f"app/{source}" if target == "./" else f"app/{target}")
                for source in sources
            ]
    return found


def variables() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(of("ENV"))))


def test_the_instructions_keep_to_what_linters_of_them_ask_for() -> None:
    for kind, text in INSTRUCTIONS:
        if kind == "FROM":
            assert re.search(r":\d", text.split()[0]), f"{text}: no version"
        if kind in {"CMD", "HEALTHCHECK"}:
            form = text[text.index("[") :]
            assert json.loads(form), f"{kind} needs a shell"
        if kind == "WORKDIR":
            assert text.startswith("/")
        if kind == "RUN" and "pip install" in text:
            assert "--no-cache-dir" in text
        assert kind != "ADD", "COPY does it, and fetches nothing"
        assert "sudo" not in text
        assert "apt-get" not in text or "--no-install-recommends" in text
    assert _TEXT.count("CMD [") == 2  # one of them asks after its health
    assert len({text for kind, text in INSTRUCTIONS if kind == "FROM"}) == 2


def test_it_runs_by_number_as_nobody_special_and_keeps_one_folder() -> None:
    (user,) = of("USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user), "a name is not believed by runAsNonRoot"
    assert of("VOLUME") == ["/data"]
    assert f"-o {user.split(':')[0]}" in " ".join(of("RUN"))
    paths = [value for value in variables().values() if "/data" in value]
    assert len(paths) == 2
    known = {setting.metadata["variable"] for setting in fields(Settings)}
    assert variables().keys() - known == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def test_what_it_copies_is_there_and_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for kind, text in INSTRUCTIONS:
        for source in text.split()[:-1] if kind == "COPY" and "--from" not in text else ():
            name = source.removesuffix("*")
            assert source.endswith("*") or (ROOT / name).exists(), source
            assert f"!{name}" in let_through, source


def test_it_has_no_test_tools_and_needs_no_network_where_wheels_are_given(tmp_path: Path) -> None:
    (install,) = [text for kind, text in INSTRUCTIONS if kind == "RUN" and "pip" in text]
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    steps = install.split(" && python -m venv")[0].replace("    ", " ")
    asks = f"{steps} && echo index=$PIP_NO_INDEX links=$PIP_FIND_LINKS"
    for wheel, said in ((None, "index= links="), ("a-1-py3-none-any.whl", "index=1 links=/build")):
        if wheel:
            (tmp_path / wheel).touch()
        done = subprocess.run(
            ["sh", "-c", asks],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == said
    names = set(re.findall(r"^([A-Za-z0-9-]+)>", (tmp_path / "runtime.txt").read_text(), re.M))
    assert {"Flask", "gunicorn", "psycopg2-binary", "redis", "boto3"} <= names
    assert not {name for name in names if name.lower().startswith("pytest")}


def test_what_it_is_made_of_serves_and_finds_itself_well(tmp_path: Path) -> None:
    for source, target in copied():
        place = tmp_path / target
        place.parent.mkdir(exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)
    data = tmp_path / "data"
    data.mkdir()
    before = set((tmp_path / "app").rglob("*"))
    text = of("CMD")[0]
    command = [sys.executable, *json.loads(text)[1:]]
    server = LiveServer(data, command=command, cwd=tmp_path / "app")
    made = {name: value.replace("/data", str(data)) for name, value in variables().items()}
    given = {
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": "",
        "SECRET_KEY": "k" * 40,
        "PRESENCE_ALLOWED_HOSTS": "presence.example.org",
        "PRESENCE_ALLOWED_ORIGINS": "https://app.example.org",
    }
    server.set(**made | given)
    health = of("HEALTHCHECK")[0]
    asks = [sys.executable, *json.loads(health[health.index("[") :])[1:]]

    def is_well() -> bool:
        environment = os.environ | server.settings
        done = subprocess.run(asks, env=environment, capture_output=True, check=False)
        return done.returncode == 0

    assert not is_well()
    server.launch()
    try:
        eventually(is_well, "it finds itself well", 100)
        for path, status in (("/api/webrtc/rooms", 401), ("/clients", 200)):
            named = {"Host": "presence.example.org"}
            answer = requests.get(server.url + path, headers=named, timeout=10)
            assert answer.status_code == status
        assert server.stop() == 0
    finally:
        server.kill()
    assert set((tmp_path / "app").rglob("*")) == before, "only /data can be written"
