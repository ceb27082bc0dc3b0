"""Whether the server can listen on an address, and what to do where it cannot.

Imports nothing but the standard library: ``gunicorn.conf.py`` reads it before the worker has
patched that.
"""

from __future__ import annotations

import errno
import socket
import time

# How long a server that is about to end may keep the address from its successor.
_PATIENCE_SECONDS = 2.0

_REASONS = {
    errno.EADDRINUSE: "another program listens there. End that one, or choose another port: "
    "PORT={other}",
    errno.EACCES: "ports below 1024 are for the system. Choose another one, such as PORT=3001, and "
    "let a proxy listen there",
    errno.EADDRNOTAVAIL: "no address of this machine is called so. Set HOST to one that is, such "
    "as 127.0.0.1, or 0.0.0.0 for all of them",
}


class CannotListen(Exception):
    """Nothing can listen on an address; the message says why and what to do."""


def check(host: str, port: int, patience: float = _PATIENCE_SECONDS) -> None:
    """Raise `CannotListen` unless a server could listen on an address just now.

    Waits `patience` seconds for a program that listens there and may be about to end.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _try(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(0.1)
                continue
            reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}")
            if isinstance(error, socket.gaierror):
                reason = _REASONS[errno.EADDRNOTAVAIL]
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            other = port + 1 if port < 65_535 else 3001
            raise CannotListen(
                f"Presence cannot listen on {place}: {reason.format(other=other)}."
            ) from None


def _try(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as tried:
        # Connections that were closed a moment ago are nobody's.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)
        tried.listen(1)
