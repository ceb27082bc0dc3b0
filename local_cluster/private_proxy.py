"""What all proxies of one's own have in common: a folder, a port, a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

from local_cluster import private_folder, programs
from local_cluster.ports import free_port
from local_cluster.waiting import eventually


class PrivateProxy:
    """A proxy of this machine whose `url` clients use; `command` starts it in the foreground."""

    program: programs.Program

    def __init__(self) -> None:
        self._program = programs.find(self.program)
        self.folder = private_folder.make(self.program.commands[0])
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str | Path]:
        """Return the command line."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start the proxy and wait until it listens."""
        environment = {**os.environ, "HOME": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._listens, f"{self.program.name} has started: {self.log_text()}")
        return self

    def log_text(self) -> str:
        """Return everything that the proxy has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """End the proxy and remove its folder."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        private_folder.remove(self.folder)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False
