"""Programs that tests start beside the server, each in a process of its own that listens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from local_cluster.waiting import eventually
from tests.support.paths import ROOT


class ListeningProgram:
    """A file of the tests that is run by Python and listens on a port of this machine."""

    def __init__(self, file: str, port: int, arguments: list[str], log: Path) -> None:
        self._command = [sys.executable, str(ROOT / file), str(port), *arguments]
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return True
            return False

        eventually(listens, f"{self._command[1]} listens", 30)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
