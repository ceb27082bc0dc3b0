"""What a client sent together with its request for a WebSocket, without waiting for the answer.

No client should (RFC 6455, section 4.1), but some do, and proxies put both into one packet. The
server that read the request has taken these bytes from the socket, and holds them in its buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where a layer leaves the server's own stream when it puts another one in its place.
STREAM = "presence.stream"
# Where servers leave the connection's socket.
SOCKETS = frozenset({"gunicorn.socket", "werkzeug.socket"})


class SocketWithMore:
    """A socket from which these bytes are read first."""

    def __init__(self, sock: Any, early: bytes) -> None:
        self._sock = sock
        self._early = early

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        if not self._early:
            data: bytes = self._sock.recv(size)
            return data
        data, self._early = self._early[:size], self._early[size:]
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def sent_along(environ: Mapping[str, Any]) -> bytes:
    """Take what a server has read beyond a request that has no body, be it gunicorn or another."""
    stream = environ.get(STREAM)
    unreader = getattr(getattr(stream, "reader", None), "unreader", None)
    if unreader is not None:
        taken: bytes = unreader.buf.getvalue()
        unreader.buf.seek(0)
        unreader.buf.truncate()
        return taken
    return _buffered(getattr(stream, "rfile", stream), transport_of(environ))


def transport_of(environ: Mapping[str, Any]) -> Any:
    """Return the TCP connection that a request came on, as far as its server tells."""
    for name in SOCKETS & environ.keys():
        return environ[name]
    stream = environ.get("eventlet.input")
    return stream.get_socket() if stream is not None else None


def _buffered(stream: Any, sock: Any) -> bytes:
    """Take what a buffered reader of a socket holds, and what has come since."""
    if sock is None or not hasattr(stream, "peek"):
        return b""
    before = sock.gettimeout()
    sock.settimeout(0)
    try:
        held: bytes = stream.peek() or b""
        return stream.read(len(held)) if held else b""
    except (BlockingIOError, ValueError):
        return b""
    finally:
        sock.settimeout(before)
