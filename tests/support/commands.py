"""Commands of the server, run as an operator runs them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local_cluster.live_server import LiveServer
from tests.support import warm_starts


class Command:
    """A command in a process of its own."""

    def __init__(self, program: str, *arguments: str, **settings: Any) -> None:
        self._line = [program, *arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="presence-command-")
        self._printed = [Path(self._folder.name, name) for name in ("output", "errors")]
        others = {n: value for n, value in os.environ.items() if not n.startswith("PRESENCE_")}
        given = {name: str(value) for name, value in settings.items()}
        self._process = warm_starts.launch_command(
            program, list(arguments), others | LiveServer.environment | given, *self._printed
        )

    def finish(self, seconds: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Wait until it has ended and return what became of it; a traceback fails the test."""
        try:
            status = self._process.wait(seconds)
            output, errors = (path.read_text() for path in self._printed)
        finally:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()
        assert "Traceback" not in errors, errors
        return subprocess.CompletedProcess(self._line, status, output, errors)


def flask(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the server with these settings; a traceback fails the test."""
    return Command("flask", *arguments, **settings).finish()


def python(code: str, *arguments: str) -> Command:
    """Start some code of the server's in a process of its own."""
    return Command("python", code, *arguments)
