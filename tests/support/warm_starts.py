"""Starting servers and commands without loading everything anew for each."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from local_cluster.live_server import GUNICORN, Process, start_process
from presence.config import InvalidSetting, Settings
from tests.support.paths import ROOT

# With this set each loads everything for itself, as in production.
COLD = bool(os.environ.get("PRESENCE_TEST_COLD_STARTS"))

_GUNICORN = str(importlib.util.find_spec("gunicorn.__main__").origin)  # type: ignore[union-attr]
# What a server loads besides when it has other machines to talk to.
_OF_CLUSTERS = ["redis", "psycopg2", "boto3", "presence.storage.s3_blobs"]


class WarmProcess:
    """A server or a command that a nursery has made: what tests use of a `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid

    @property
    def returncode(self) -> int | None:
        """The exit status once it is known that the process has ended."""
        return self._nursery.statuses.get(self.pid)

    def poll(self) -> int | None:
        """Return the exit status if the process has ended."""
        self._nursery.listen(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended and return its exit status.

        Raises:
            subprocess.TimeoutExpired: it runs on after so many seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._nursery.listen(0.05)
        return status

    def send_signal(self, number: int) -> None:
        """Send the process a signal, if it has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """A process that makes others of one kind, and what it has told of them."""

    def __init__(self, mode: str, names_machines: bool, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair()
        if not names_machines:
            environment = environment | {"EVENTLET_NO_GREENDNS": "yes"}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.nursery",
                mode,
                *(_OF_CLUSTERS if names_machines else []),
            ],
            cwd=ROOT,
            env=environment,
            stdin=theirs.fileno(),
        )
        theirs.close()
        self._socket = ours
        self._unread = b""
        self._made: list[int] = []
        self.statuses: dict[int, int] = {}
        self._ordering, self._listening = threading.Lock(), threading.Lock()

    def make(self, order: dict[str, object]) -> WarmProcess:
        """Start a process."""
        with self._ordering:
            self._socket.sendall(json.dumps(order).encode() + b"\n")
            while not self._made:
                assert self._process.poll() is None, "the process that makes servers has ended"
                self.listen(0.05)
            return WarmProcess(self, self._made.pop())

    def listen(self, seconds: float) -> None:
        """Take in what the process tells, waiting for so long for it."""
        with self._listening:
            if not select.select([self._socket], [], [], seconds)[0]:
                return
            *lines, self._unread = (self._unread + self._socket.recv(4096)).split(b"\n")
            for line in lines:
                process, *status = (int(number) for number in line.split())
                if status:
                    self.statuses[process] = status[0]
                else:
                    self.statuses.pop(process, None)
                    self._made.append(process)

    def close(self) -> None:
        """End the process; the servers run on."""
        self._socket.close()
        self._process.wait()


_nurseries: dict[tuple[str, bool], Nursery] = {}


def launch(command: list[str], cwd: Path, environment: dict[str, str], log: Path) -> Process:
    """Start a server as `start_process` does, out of a nursery where that makes no difference."""
    mode = next((mode for mode, plain in GUNICORN.items() if plain == command), None)
    try:
        settings = Settings.from_environment(environment)
    except InvalidSetting:
        mode = None
    if mode is None or cwd != ROOT:
        return start_process(command, cwd, environment, log)
    return _nursery(mode, settings.names_machines, environment).make(
        {
            "program": "gunicorn",
            "arguments": [_GUNICORN, *command[3:]],
            "cwd": str(cwd),
            "environment": environment,
            "output": str(log),
            "errors": str(log),
        }
    )


def launch_command(
    program: str, arguments: list[str], environment: dict[str, str], output: Path, errors: Path
) -> Process:
    """Start ``flask`` with these arguments, or ``python`` with the code that is their first.

    What it prints is added to two files.
    """
    if COLD:
        option = {"flask": ["-m", "flask"], "python": ["-c"]}[program]
        with output.open("ab") as printed, errors.open("ab") as complaints:
            return subprocess.Popen(
                [sys.executable, *option, *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=complaints,
                start_new_session=True,
            )
    try:
        names_machines = Settings.from_environment(environment).names_machines
    except InvalidSetting:
        names_machines = False
    return _nursery("threading", names_machines, environment).make(
        {
            "program": program,
            "arguments": [program, *arguments],
            "cwd": str(ROOT),
            "environment": environment,
            "output": str(output),
            "errors": str(errors),
        }
    )


def _nursery(mode: str, names_machines: bool, environment: dict[str, str]) -> Nursery:
    """Return the process that has loaded what is asked for, started where it was not."""
    kind = (mode, names_machines)
    if kind not in _nurseries:
        bare = {n: v for n, v in environment.items() if n in ("PATH", "HOME", "PYTHONPATH", "LANG")}
        _nurseries[kind] = Nursery(*kind, bare)
    return _nurseries[kind]
