"""A real server in a process of its own, started privately on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import requests

from local_cluster.ports import free_port
from local_cluster.waiting import eventually

ROOT = Path(__file__).parent.parent
GUNICORN = {
    "eventlet": [sys.executable, "-m", "gunicorn"],
    "threading": [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "200"],
}


class LiveServer:
    """A server process with a database and an upload folder of its own.

    `mode` is ``eventlet`` or ``threading``, or `command` says how to start it; further settings
    are given by the names of their environment variables.
    """

    # What every server finds in its environment besides.
    environment: ClassVar[dict[str, str]] = {}

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
        self.url = f"http://127.0.0.1:{self.port}"
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
        self._process: subprocess.Popen[bytes] | None = None

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
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=environment | self.environment | self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
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
            answer = requests.get(f"{self.url}/api/webrtc/rooms", timeout=2)
            # A locked server wants a token, and some tests allow few requests.
            return answer.ok or answer.status_code in (401, 429)
        except requests.RequestException:
            return False

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not running"
        return self._process
