"""A proxy whose connections a test lets die, while a poll waits on them for its answer."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from local_cluster.waiting import eventually

# For ``SO_LINGER``: whoever is at the other end sees a reset.
_AT_ONCE = struct.pack("ii", 1, 0)
_TURN_SECONDS = 0.02


class _Line:
    """A client's connection and the one to the server that goes with it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.guard = threading.Lock()
        self.requests = 0
        # What was asked by the poll that waits for its answer.
        self.poll: str | None = None
        self.is_deaf = self.is_dying = self.is_dead = False
        self.swallowed = b""

    def is_polled_again(self) -> bool:
        """Tell whether a poll waits that is not the first request on this connection."""
        return self.poll is not None and self.requests > 1


class DyingProxy:
    """Passes on what comes, connection by connection, in both directions."""

    # Each way in which the connection of a poll dies.
    WAYS = ("unnoticed", "noticed", "answered")

    def __init__(self, port: int) -> None:
        self.polls: Counter[str] = Counter()
        self._target = port
        self._lines: list[_Line] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those there are."""
        self._listener.close()
        for line in self._lines:
            line.is_dying = True
            line.server.close()

    def kill_a_poll(self, way: str, meanwhile: Callable[[], None]) -> None:
        """Reset the connection of a poll, and let something happen that is its answer.

        The server does not notice that before it has answered (``unnoticed``), or at once
        (``noticed``), or the answer has left it before the connection dies (``answered``).
        """
        line = eventually(self._polled, "a poll waits on a connection that was used before")
        assert line
        if way == "answered":
            meanwhile()
            eventually(lambda: line.swallowed, "the poll was answered")
        line.is_dying = True
        eventually(lambda: line.is_dead, "the connection is dead")
        if way == "noticed":
            line.server.close()
        if way != "answered":
            meanwhile()

    def _polled(self) -> _Line | None:
        for line in self._lines:
            with line.guard:
                if line.is_polled_again() and not line.is_dead:
                    line.is_deaf = True
                    return line
        return None

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                line = _Line(client, socket.create_connection(("127.0.0.1", self._target)))
                self._lines.append(line)
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: _Line) -> None:
        with suppress(OSError, ValueError):
            while not line.is_dying and self._pass_on(line):
                pass
        if line.is_dying:
            # The connection to the server stays: nobody there is told.
            line.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        else:
            line.server.close()
        line.client.close()
        line.is_dead = True

    def _pass_on(self, line: _Line) -> bool:
        ready, _, _ = select.select([line.client, line.server], [], [], _TURN_SECONDS)
        if line.client in ready:
            data = line.client.recv(65_536)
            if not data:
                return False
            self._note(line, data)
            line.server.sendall(data)
        if line.server in ready:
            data = line.server.recv(65_536)
            with line.guard:
                if line.is_deaf:
                    line.swallowed += data
                elif data:
                    line.poll = None
                    line.client.sendall(data)
            return bool(data)
        return True

    def _note(self, line: _Line, data: bytes) -> None:
        method, _, rest = data.partition(b" ")
        if method not in (b"GET", b"POST"):
            return
        target = rest.partition(b" ")[0].decode()
        with line.guard:
            line.requests += 1
            if method == b"GET" and "&sid=" in target:
                line.poll = target
                self.polls[target] += 1
