"""A process that looks at uploaded files for the server, one after the other.

It is given no secrets and no connections, only the path of a file and where to answer. Run as
``python -m presence.transport.process.file_checker <socket> <seconds> <bytes>``; it ends when the
server closes the socket, and by itself when nobody asks for a while.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from presence.domain.files import checking, file_types, pictures
from presence.errors import FileTooComplex, FileTypeRefused, PresenceError

_IDLE_SECONDS = 300.0
_MIB = 1024 * 1024
_FAILED = (
    "This file could not be looked at, so it is not accepted. Save it anew from the program that "
    "made it, and send it again."
)


def main(descriptor: int, seconds: float, memory: int) -> None:
    """Answer requests until there are no more; both are a line of JSON each."""
    _bound(memory)
    warnings.simplefilter("ignore")  # Pillow warns of what a picture tells of itself
    connection = socket.socket(fileno=descriptor)
    connection.settimeout(_IDLE_SECONDS)
    with connection, connection.makefile("rb") as requests, suppress(TimeoutError):
        for request in requests:
            # Counts what this process computes; at its end the system ends the process.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            answer = _answer(json.loads(request), memory)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.sendall(json.dumps(answer).encode() + b"\n")


def _answer(request: dict[str, Any], memory: int) -> dict[str, Any]:
    """Return the extension of a file's type, or the condition that keeps it out.

    Of a picture that is in already, a thumbnail may be asked for.
    """
    try:
        with open(request["path"], "rb") as file:
            if "thumbnail_of" in request:
                kind = file_types.BY_STORED_EXTENSION[request["thumbnail_of"]]
                with open(request["into"], "wb") as out:
                    pictures.thumbnail(file, kind, out)
                return {"extension": ".webp"}
            kind = checking.detect(file, request["filename"], max_pixels=request["max_pixels"])
            if request["into"] and kind.is_image:
                with open(request["into"], "wb") as out:
                    pictures.reencode(file, kind, out)
        return {"extension": kind.extension}
    except PresenceError as condition:
        return _condition(condition)
    except MemoryError:
        return _condition(FileTooComplex("MiB of memory", memory // _MIB))
    except Exception:
        # Whatever a reader stumbles over: one file is not accepted, and the log says why.
        traceback.print_exc()
        return _condition(FileTypeRefused(_FAILED))


def _condition(condition: PresenceError) -> dict[str, Any]:
    return {
        "condition": type(condition).__name__,
        "detail": condition.detail,
        "extra": condition.extra,
    }


def _bound(memory: int) -> None:
    """Let this process have so much more memory, and give way to the one that serves."""
    page = os.sysconf("SC_PAGE_SIZE")
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    resource.setrlimit(resource.RLIMIT_AS, (pages * page + memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    with suppress(OSError):
        # Where memory runs short all the same, the system ends this process and not the server.
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
