"""What deploy/install-systemd.sh installs serves, as its unit says, as a user who owns only data.

systemd itself is not needed: the unit is read, checked by systemd's own tools where there are any,
and its command is run with the environment that systemd would give.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster import private_folder
from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support import needs
from tests.support.paths import ROOT

UNIT = ROOT / "deploy" / "presence@.service"
INSTALL = "deploy/install-systemd.sh"


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of bash to its end."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Installed:
    """An installation below a folder of its own, and its service."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.code = root / "opt" / "presence"
        self.data = root / "var" / "lib" / "presence"
        self.settings = root / "etc" / "presence.env"
        # The packages of the tests in the place of an environment of its own, which takes minutes.
        python = self.code / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (self.code / ".venv" / ".made-by-presence").touch()
        stamp = self.code / ".venv" / ".installed-requirements.txt"
        stamp.write_text(shell("cat requirements.txt | cksum", ROOT).stdout)

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script, as root would."""
        (self.root / "etc").mkdir(exist_ok=True)
        return shell(f"{INSTALL} {shlex.join(arguments)}", ROOT, DESTDIR=str(self.root))

    def below(self, text: str) -> str:
        """Return text of the unit with the paths of this installation."""
        for path in ("/opt/presence", "/var/lib/presence", "/etc/presence.env"):
            text = text.replace(path, f"{self.root}{path}")
        return text

    def environment(self, port: int) -> dict[str, str]:
        """Return what systemd would set: the unit's variables, and over them those of the file."""
        unit = self.below((self.root / "etc/systemd/system/presence@.service").read_text())
        found = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
        found |= dict(re.findall(r"^(\w+)=(.*)$", self.settings.read_text(), re.MULTILINE))
        return found | {"PORT": str(port)}

    def command(self) -> list[str]:
        """Return the unit's command as systemd would run it."""
        line = re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
        assert line
        return shlex.split(line[1].replace("$$", "$"))


@pytest.fixture(scope="module")
def installed() -> Generator[Installed]:
    root = private_folder.make("systemd")
    root.chmod(0o755)
    made = Installed(root)
    done = made.install("presence.example.org")
    assert done.returncode == 0, done.stderr
    yield made
    private_folder.remove(root)


def test_systemd_takes_the_unit_and_finds_it_shut_in(tmp_path: Path) -> None:
    analyze = needs.program("systemd-analyze")
    unit = tmp_path / "presence@3001.service"
    unit.write_text(UNIT.read_text())
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []
    version = subprocess.run([analyze, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.split()[1]) < 250:
        pytest.skip("this systemd-analyze looks at running services only")
    # 10 is a service that may do everything; 2.5 and less is what systemd calls well shut in.
    limit = ["security", "--offline=true", "--threshold=25", "--no-pager"]
    done = subprocess.run([analyze, *limit, unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


def test_an_installation_is_locked_with_a_key_of_its_own_and_can_be_repeated(
    installed: Installed,
) -> None:
    settings = installed.settings.read_text()
    assert installed.settings.stat().st_mode & 0o077 == 0
    values = installed.environment(3001)
    assert (values["PRESENCE_MODE"], len(values["SECRET_KEY"]) > 40) == ("locked", True)
    assert values["PRESENCE_ALLOWED_HOSTS"] == "presence.example.org"
    assert values["PRESENCE_ALLOWED_ORIGINS"] == "https://presence.example.org"
    (installed.code / "presence" / "gone.py").touch()
    assert installed.install().returncode == 0
    assert installed.settings.read_text() == settings
    assert not (installed.code / "presence" / "gone.py").exists()


def test_without_a_name_for_the_server_nothing_is_installed(tmp_path: Path) -> None:
    done = shell(INSTALL, ROOT, DESTDIR=str(tmp_path))
    assert done.returncode == 2
    assert "Name the host" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_unit_serves_reports_and_reloads_as_a_user_who_owns_the_data_alone(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.data.mkdir(parents=True)
    account = somebody_else(installed.data)
    before = {path for path in installed.code.rglob("*") if ".venv" not in path.parts}
    # What systemd listens on for the service.
    address = installed.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(address))
        address.chmod(0o777)
        line.settimeout(100)
        server = LiveServer(
            installed.data,
            command=["bash", "-c", 'umask 077; exec "$@"', "-", *installed.command()],
            cwd=installed.code,
        )
        server.set(**installed.environment(server.port))
        server.set(NOTIFY_SOCKET=address, WATCHDOG_USEC=30_000_000, PYTHONPATH="")
        popen: Any = subprocess.Popen
        monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: popen(*a, **k, **account))
        try:
            server.launch()
            monkeypatch.setattr(subprocess, "Popen", popen)
            said = until_watched(line)
            # The start itself may take longer than the watchdog waits.
            assert said.index("WATCHDOG_USEC=3600000000") < said.index("WATCHDOG_USEC=30000000")
            named = {"Host": "presence.example.org"}
            url = f"http://127.0.0.1:{server.port}"
            assert requests.get(f"{url}/healthz", headers=named, timeout=20).ok
            refused = requests.get(f"{url}/api/webrtc/rooms", headers=named, timeout=20)
            assert refused.status_code == 401
            # ExecReload: the main process stays, and the next worker is watched as the first.
            os.kill(server.group, signal.SIGHUP)
            until_watched(line)
            answer = requests.get(f"{url}/healthz", headers=named, timeout=20)
            assert answer.ok
            eventually(lambda: server.log_text().count("Presence is ready") == 2, "it is back")
            assert ("started as root" in server.log_text()) == (not account and os.geteuid() == 0)
            assert server.stop(30) == 0
        finally:
            server.kill()
    assert {path for path in installed.code.rglob("*") if ".venv" not in path.parts} == before
    assert (installed.data / "presence.db").stat().st_mode & 0o077 == 0


def somebody_else(folder: Path) -> dict[str, Any]:
    """Give a folder to an account without rights; return how to run as it, if it can run Python.

    Where Python lies in root's own folder, it cannot.
    """
    account = private_folder.hand_over(folder)
    with contextlib.suppress(OSError):
        can = subprocess.run([sys.executable, "-c", ""], check=False, cwd="/", **account)  # type: ignore[call-overload]
        if can.returncode == 0:
            return dict(account)
    os.chown(folder, os.geteuid(), os.getegid())
    return {}


def until_watched(line: socket.socket) -> list[str]:
    """Return what systemd is told until a process has reported from its upkeep, after its start."""
    said: list[str] = []
    while said[-1:] != ["WATCHDOG=1"] or "WATCHDOG_USEC=30000000" not in said:
        said += line.recv(4096).decode().splitlines()
    assert "WATCHDOG_USEC=30000000" in said
    return said
