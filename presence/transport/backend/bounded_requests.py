"""Connections whose requests come to an end, however slowly the other side reads and answers.

A time-out of a socket begins anew with each byte, so whoever sends one every few seconds would
keep a courier for ever: in the head of an answer, in the length of a chunk, or with one interim
answer after the other (RFC 9110, 15.2), which are read over.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from socket import socket
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

# For how long a request may be sent, and for how long its answer may come.
SECONDS = 10.0
_PIECE = 16 * 1024
_SWITCHING_PROTOCOLS = 101


class _UntilThen(io.RawIOBase):
    """What comes in from a socket up to a moment; raises `TimeoutError` after it."""

    def __init__(self, raw: io.RawIOBase, sock: socket) -> None:
        self._raw, self._sock = raw, sock
        self._until = time.monotonic() + SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _let_wait(self._sock, self._until)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilThen(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != _SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class _Bounded(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        # In pieces: sockets of eventlet begin to wait anew with each that is taken.
        until = time.monotonic() + SECONDS
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            if self.sock is not None:
                _let_wait(self.sock, until)
            super().send(view[start : start + _PIECE])


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


def pool_manager(**how: Any) -> PoolManager:
    """Return a `PoolManager` of such connections."""
    made = PoolManager(**how)
    made.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return made


def _let_wait(sock: socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left)
