"""The load: every client of a workload in one process and one loop, as cheap as can be.

Plain sockets and epoll, and messages are looked at rather than parsed: a full client would cost
more than the server that is measured. What a client must know of a long message stands in its
first bytes, so the rest is counted and dropped.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

# How much of a message a client looks at unless it says that it reads them whole.
HEAD_BYTES = 512
_BUFFER_BYTES = 1024 * 1024
_BYTES_PER_WRITE = 16 * 1024  # so that large bodies keep nobody else waiting on this side
_QUIET_BYTES = 16  # pings and pongs are shorter, and do not count as traffic


class ConnectionLost(Exception):
    """The server closed a connection, or refused it, in the middle of a workload."""


class Connection:
    """One TCP connection to the server, driven by a `Load`."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.bytes_in = 0
        self.sock = socket.socket()
        self.sock.connect(("127.0.0.1", load.port))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unsent: list[memoryview] = []
        load.add(self)

    def send(self, data: bytes) -> None:
        """Send bytes, now or as soon as the kernel takes them."""
        if not self._unsent:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            self.load.watch_writing(self, True)
            data = data[sent:] if sent < len(data) else b""
        self._unsent.append(memoryview(data))

    def write_more(self) -> None:
        """Send what had to wait; called when the kernel takes more."""
        chunk = self._unsent[0][:_BYTES_PER_WRITE]
        try:
            sent = self.sock.send(chunk)
        except BlockingIOError:
            return
        rest = self._unsent[0][sent:]
        if rest:
            self._unsent[0] = rest
            return
        self._unsent.pop(0)
        if not self._unsent:
            self.load.watch_writing(self, False)

    def receive(self, data: memoryview, now: float) -> None:
        """Take in bytes from the server."""
        raise NotImplementedError

    def closed(self) -> None:
        """Take in that the server has closed the connection."""
        raise ConnectionLost(f"the server closed a connection after {self.bytes_in} bytes")

    def close(self) -> None:
        """End the connection."""
        self.load.remove(self)
        self.sock.close()


class Load:
    """All connections to one server, and the loop that they run in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bytes_in = 0
        self.last_traffic = time.perf_counter()
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._buffer = bytearray(_BUFFER_BYTES)

    def add(self, connection: Connection) -> None:
        """Listen to a connection from now on."""
        self._connections[connection.sock.fileno()] = connection
        self._epoll.register(connection.sock.fileno(), select.EPOLLIN)

    def remove(self, connection: Connection) -> None:
        """Listen to a connection no more."""
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._epoll.unregister(connection.sock.fileno())

    def watch_writing(self, connection: Connection, wanted: bool) -> None:
        """Ask to be told, or no longer, when a connection takes more bytes."""
        flags = select.EPOLLIN | (select.EPOLLOUT if wanted else 0)
        self._epoll.modify(connection.sock.fileno(), flags)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Serve the connections until a condition holds, or for some seconds; return whether."""
        deadline = time.perf_counter() + seconds
        while until is None or not until():
            left = deadline - time.perf_counter()
            if left <= 0:
                return False
            self._turn(left)
        return True

    def await_(self, until: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Serve the connections until a condition holds; raises `ConnectionLost` if it does not."""
        if not self.run(seconds, until):
            raise ConnectionLost(f"not within {seconds:g} s: {what}")

    def settle(self, quiet: float = 0.2, seconds: float = 120) -> None:
        """Serve the connections until nothing but pings has arrived for `quiet` seconds."""
        start = time.perf_counter()
        while True:
            silence = time.perf_counter() - max(self.last_traffic, start)
            if silence >= quiet or time.perf_counter() - start > seconds:
                return
            self.run(quiet - silence)

    def close(self) -> None:
        """End every connection."""
        for connection in list(self._connections.values()):
            connection.close()
        self._epoll.close()

    def _turn(self, timeout: float) -> None:
        for fd, events in self._epoll.poll(timeout):
            connection = self._connections.get(fd)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                connection.write_more()
            if events & ~select.EPOLLOUT:
                self._read(connection)

    def _read(self, connection: Connection) -> None:
        size = 0
        with suppress(ConnectionResetError):
            try:
                size = connection.sock.recv_into(self._buffer)
            except BlockingIOError:
                return
        if not size:
            self.remove(connection)
            connection.closed()
            return
        now = time.perf_counter()
        self.bytes_in += size
        connection.bytes_in += size
        if size > _QUIET_BYTES:
            self.last_traffic = now
        connection.receive(memoryview(self._buffer)[:size], now)
