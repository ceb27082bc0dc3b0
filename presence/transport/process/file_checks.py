"""Looking at uploaded files in processes of their own, so that nobody else waits for it.

Decoding what strangers send takes seconds and much memory where it is made to, and its libraries
are written in C. In a thread the interpreter's lock shows: beside one such file a turn of the event
loop took 8 ms at the median and 380 ms at the worst; beside a process 1 ms. A process can also be
given limits that hold in C, and its end ends nobody's connection.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from presence import errors
from presence.config import ROOT, Settings
from presence.domain.files import file_types
from presence.domain.files.file_types import FileType
from presence.errors import FileCheckBusy, FileTooComplex, PresenceError

log = logging.getLogger(__name__)

_MIB = 1024 * 1024
# How many times its seconds of computing a check may take by the clock, and wait for its turn.
_PATIENCE = 3
# A new process first reads its libraries, which takes a busy machine long.
_START_SECONDS = 30.0
_RETRY_SECONDS = 10
# All that a checker is told of the environment: it finds its libraries, and no secrets.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")


class _Gone(Exception):
    """A checker ended instead of answering; ``returncode`` as `subprocess` has it."""

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode


class FileChecks:
    """The checkers of this process: so many files are looked at at once, the others wait."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = threading.Semaphore(settings.file_checkers)
        self._idle: list[_Checker] = []

    def check(self, path: Path, filename: str, *, into: Path | None = None) -> FileType:
        """Return the type of the file at `path`, which its client calls `filename`.

        A picture is written anew to `into`, if that is given. Raises what `checking.detect` does,
        and `FileCheckBusy` when no place gets free in time.
        """
        answer = self._answer(
            {
                "path": str(path),
                "filename": filename[-file_types.MAX_NAME :],
                "max_pixels": self._settings.max_image_pixels,
                "into": str(into) if into else None,
            }
        )
        return file_types.BY_STORED_EXTENSION[answer["extension"]]

    def thumbnail(self, path: Path, stored_name: str, into: Path) -> None:
        """Write a small WebP of the picture at `path` to `into`.

        Raises `FileTypeRefused`, `ImageTooLarge`, `FileTooComplex` and `FileCheckBusy`.
        """
        extension = file_types.extension_of(stored_name)
        self._answer({"path": str(path), "thumbnail_of": extension, "into": str(into)})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what a checker answers; raises what condition it tells of, and `FileCheckBusy`."""
        patience = self._settings.file_check_seconds * _PATIENCE
        if not self._places.acquire(timeout=patience):
            raise FileCheckBusy(_RETRY_SECONDS)
        try:
            answer = self._ask(request)
        finally:
            self._places.release()
        if "condition" in answer:
            raise errors.told(answer["condition"], answer["detail"], answer["extra"])
        return answer

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        while True:
            is_new = not self._idle
            checker = _Checker(self._settings) if is_new else self._idle.pop()
            try:
                answer = checker.ask(request)
            except _Gone as gone:
                if gone.returncode == 0 and not is_new:
                    continue  # it had waited too long for something to do
                raise self._too_complex(gone.returncode) from None
            except BaseException:
                checker.end()
                raise
            self._idle.append(checker)
            return answer

    def _too_complex(self, returncode: int) -> PresenceError:
        """Return what a file asked too much of whose checker has ended."""
        if returncode in (-signal.SIGPROF, -signal.SIGALRM):
            return FileTooComplex("seconds", math.ceil(self._settings.file_check_seconds))
        log.warning("a process that looked at an uploaded file ended with %d", returncode)
        return FileTooComplex("MiB of memory", self._settings.file_check_bytes // _MIB)


class _Checker:
    """One process that looks at files."""

    def __init__(self, settings: Settings) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(settings.file_check_seconds * _PATIENCE + _START_SECONDS)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-m",
                    "presence.transport.process.file_checker",
                    str(theirs.fileno()),
                    str(settings.file_check_seconds),
                    str(settings.file_check_bytes),
                ],
                pass_fds=(theirs.fileno(),),
                cwd=ROOT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Not ended with the server's terminal, but by the closing of its socket.
                start_new_session=True,
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request; raises `_Gone`."""
        received = b""
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while not received.endswith(b"\n"):
                piece = self._socket.recv(64 * 1024)
                if not piece:
                    break
                received += piece
        except TimeoutError:
            self.end()
            raise _Gone(-signal.SIGALRM) from None
        except OSError:
            received = b""
        if not received.endswith(b"\n"):
            raise _Gone(self.end())
        answer: dict[str, Any] = json.loads(received)
        return answer

    def end(self) -> int:
        """End the process, if it has not ended by itself, and return how it did."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(1)
        self._process.kill()
        return self._process.wait()
