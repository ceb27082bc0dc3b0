"""A process that has loaded all that a server loads, and makes servers by forking.

Loading is nine tenths of the work of a start, and the tests start hundreds of servers and dozens of
commands. What is forked is what gunicorn's own master would be after it has loaded its worker and
the app: the standard library is patched (or not) before anything else, nothing is made and nothing
runs yet, and gunicorn, or a command of ``flask``, begins in the fork with the arguments, the
environment and the files of a process of its own.

Over a socket, its standard input, it is told one process a line, as JSON, and answers with its id;
when one ends it tells its id and status. It ends with that socket.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from typing import Any

# Before anything is patched: what this process itself waits with.
_SELECT, _SOCKET = select.select, socket.socket
_EVERYWHERE = [
    "gunicorn.app.wsgiapp",
    "gunicorn.glogging",
    "app",
    "encodings.idna",
    "presence.transport.engine.stream_connections",
]
_BY_MODE = {
    "eventlet": ["engineio.async_drivers.eventlet", "eventlet.websocket"],
    "threading": ["gunicorn.workers.gthread"],
}


def load(mode: str) -> None:
    """Load what a server on `mode` loads, in its order."""
    first = {"eventlet": ["presence.transport.serving.gunicorn_worker"]}.get(mode, [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in [*first, *_EVERYWHERE, *_BY_MODE[mode], *sys.argv[2:]]:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def become(order: dict[str, Any]) -> None:
    """Be the server or the command that was ordered, in a fork of this process."""
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    printed, complaints = (
        os.open(order[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for name in ("output", "errors")
    )
    for descriptor, source in ((0, nothing), (1, printed), (2, complaints)):
        os.dup2(source, descriptor)
    os.closerange(3, 64)
    sys.argv = order["arguments"]
    _PROGRAMS[order["program"]]()


def _gunicorn() -> None:
    from gunicorn.app.wsgiapp import run  # noqa: PLC0415

    run(prog="gunicorn")


def _flask() -> None:
    from flask.cli import cli  # noqa: PLC0415

    cli.main(prog_name="flask")


def _code() -> None:
    exec(sys.argv.pop(1), {"__name__": "__main__"})  # as `python -c` does


_PROGRAMS = {"gunicorn": _gunicorn, "flask": _flask, "python": _code}


def serve() -> None:
    """Make servers until nobody asks any more."""
    orders = _SOCKET(fileno=os.dup(0))
    ended, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    unread = b""
    while True:
        ready = _SELECT([orders.fileno(), ended], [], [])[0]
        if ended in ready:
            os.read(ended, 1024)
            tell_who_ended(orders)
        if orders.fileno() not in ready:
            continue
        if not (received := orders.recv(65536)):
            return
        *lines, unread = (unread + received).split(b"\n")
        for line in lines:
            if not (process := os.fork()):
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                orders.close()
                become(json.loads(line))
                return
            orders.sendall(b"%d\n" % process)


def tell_who_ended(orders: socket.socket) -> None:
    """Tell the ids and the statuses of the servers that have ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        orders.sendall(b"%d %d\n" % (process, os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    load(sys.argv[1])
    serve()
