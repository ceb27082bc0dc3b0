"""A real server in a process of its own, started privately on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import requests

from local_cluster.ports import free_port
from local_cluster.waiting import eventually

ROOT = Path(__file__).parent.parent
GUNICORN = {
    "eventlet": [sys.executable, "-m", "gunicorn"],
    "threading": [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "200"],
}


class Process(Protocol):
    """What a server needs of the process it runs in; a `subprocess.Popen` has it."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """The exit status, once it is known."""

    def poll(self) -> int | None:
        """Return the exit status if the process has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended and return its exit status."""

    def terminate(self) -> None:
        """Ask the process to end."""

    def kill(self) -> None:
        """End the process."""


StartProcess = Callable[[list[str], Path, dict[str, str], Path], Process]


def start_process(command: list[str], cwd: Path, environment: dict[str, str], log: Path) -> Process:
    """Start a process that leads a group of its own and adds what it prints to a file."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class LiveServer:
    """A server process with a database and an upload folder of its own.

    `mode` is ``eventlet`` or ``threading``, or `command` says how to start it; further settings
    are given by the names of their environment variables.
    """

    # What every server finds in its environment besides.
    environment: ClassVar[dict[str, str]] = {}
    # How a process is started: with its command, its folder, its environment and where it prints.
    start_process: ClassVar[StartProcess]

    def __init__(
        self,
        folder: Path,
        mode: str = "eventlet",
        command: list[str] | None = None,
        cwd: Path = ROOT,
        **settings: Any,
    ) -> None:
        self.mode = mode
        self.folder = folder
        self.port = free_port()
        ipv6 = ":" in str(settings.get("HOST", ""))
        self.url = f"http://{'[::1]' if ipv6 else '127.0.0.1'}:{self.port}"
        self.uploads = folder / "uploads"
        self.database = folder / "presence.db"
        self.log = folder / "server.log"
        self._cwd = cwd
        self._command = command or GUNICORN[mode]
        self._settings = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "UPLOAD_DIR": str(self.uploads),
        }
        self.set(**settings)
        self._process: Process | None = None

    def set(self, **settings: Any) -> None:
        """Change settings, for the next start."""
        self._settings |= {name: str(value) for name, value in settings.items()}

    def start(self, seconds: float = 60.0) -> LiveServer:
        """Start the server and wait until it answers."""
        self.launch()
        self.wait_until_it_answers(seconds)
        return self

    def launch(self) -> None:
        """Start the server without waiting for it."""
        environment = {
            name: value
            for name, value in os.environ.items()
            # `flask run` sets this, and a child would take it for its own.
            if name not in {"FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN", "WERKZEUG_SERVER_FD"}
            and not name.startswith("PRESENCE_")
        }
        self._process = LiveServer.start_process(
            self._command, self._cwd, environment | self.environment | self._settings, self.log
        )

    def wait_until_it_answers(self, seconds: float = 60.0) -> None:
        """Wait until the server that was launched answers; ends it if it does not."""
        try:
            eventually(self._answers, f"the server answers on {self.url}", seconds, interval=0.05)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.log_text()}") from None

    def stop(self, seconds: float = 10.0) -> int:
        """Ask the server to stop (SIGTERM) and return its exit status."""
        process = self._running()
        process.terminate()
        try:
            return process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the server and its workers at once (SIGKILL), as a crash would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings the server runs with, by environment variable."""
        return dict(self._settings)

    @property
    def group(self) -> int:
        """The process group of the server and its workers."""
        return self._running().pid

    def signal(self, number: int) -> None:
        """Send a signal to the server and its workers."""
        os.killpg(self._running().pid, number)

    def memory(self) -> int:
        """Return how many bytes the largest of the server's processes has in memory."""
        group = self._running().pid
        sizes = []
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, ProcessLookupError):
                if os.getpgid(int(status.parent.name)) == group:
                    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                    sizes.append(int(lines.get("VmRSS", "0 kB").split()[0]) * 1024)
        return max(sizes)

    def log_text(self) -> str:
        """Return everything the server has printed."""
        return self.log.read_text(errors="replace")

    def stored_files(self) -> list[str]:
        """Return every file below the upload folder, pending ones included."""
        return sorted(
            str(path.relative_to(self.uploads))
            for path in self.uploads.rglob("*")
            if path.is_file()
        )

    def _answers(self) -> bool:
        process = self._running()
        if process.poll() is not None:
            raise AssertionError(f"the server ended with status {process.returncode}")
        try:
            answer = requests.get(f"{self.url}/api/webrtc/rooms?limit=1", timeout=2)
            # A locked server wants a token, and some tests allow few requests.
            return answer.ok or answer.status_code in (401, 429)
        except requests.RequestException:
            return False

    def _running(self) -> Process:
        assert self._process is not None, "the server is not running"
        return self._process


LiveServer.start_process = start_process
