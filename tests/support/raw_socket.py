"""A Socket.IO connection by hand, for what no client would do."""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

import websocket

from local_cluster.live_server import LiveServer


class NotGreeted(Exception):
    """The server closed the connection instead of completing it."""


class RawSocket:
    """A WebSocket that speaks Engine.IO by hand, to send what no client would."""

    def __init__(
        self, server: LiveServer, auth: Any = None, receive_buffer: int | None = None
    ) -> None:
        url = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        self._socket = websocket.create_connection(
            url,
            timeout=10,
            sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)]
            if receive_buffer
            else [],
        )
        self._socket.recv()
        self.send("40" + (json.dumps(auth) if auth is not None else ""))
        answer = self.receive()
        if answer in {"", "1"}:  # Engine.IO's own close
            raise NotGreeted
        assert answer.startswith("40")
        self.connected: dict[str, Any] = json.loads(answer[2:])

    def send(self, text: str) -> None:
        self._socket.send(text)

    def receive(self) -> str:
        """Return the next message that is no ping, or an empty string when closed."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if (text := self._read()) is not None:
                return text
        raise AssertionError("nothing came but pings for 10 s")

    def receive_at_once(self) -> str | None:
        """Return what `receive` would if it has come already, else None."""
        while self.has_something():
            if (text := self._read()) is not None:
                return text
        return None

    def _read(self) -> str | None:
        """Return what comes next, an empty string for the end, None for a ping that it answers."""
        try:
            text = str(self._socket.recv())
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return ""
        if text != "2":
            return text
        self.send("3")
        return None

    @property
    def transport(self) -> socket.socket:
        """The TCP connection below."""
        assert isinstance(self._socket.sock, socket.socket)
        return self._socket.sock

    def has_something(self) -> bool:
        """Tell whether anything has come, be it a ping."""
        return bool(select.select([self.transport], [], [], 0)[0])

    def close(self) -> None:
        self._socket.close()

    def cut(self) -> None:
        """End the connection without a word."""
        self.transport.shutdown(socket.SHUT_RDWR)
        self.transport.close()
