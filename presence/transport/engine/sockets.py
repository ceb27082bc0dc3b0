"""The sockets of this process, one by one: sending to one, and what its connection tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_socketio import SocketIO

from presence.transport.engine import packets


class Sockets:
    """The sockets of a Socket.IO server that this process holds, by their ids."""

    def __init__(self, socketio: SocketIO) -> None:
        self.server = socketio.server
        self.start_background_task: Callable[..., Any] = socketio.start_background_task
        self.sleep: Callable[[float], Any] = socketio.sleep

    def send(self, sid: str, event: str, body: dict[str, Any]) -> None:
        """Send an event to one socket of this process, and to nobody if it is gone.

        What may be for several, or for a socket of another worker, goes by ``server.emit``.
        """
        eio_sid = self.server.manager.eio_sid_from_sid(sid, "/")
        if eio_sid is not None:
            self.server._send_eio_packet(eio_sid, packets.event(event, body))

    def is_connected(self, sid: str) -> bool:
        """Tell whether a socket of this process is connected, and not about to be otherwise."""
        return bool(self.server.manager.is_connected(sid, "/"))

    def silence_of(self, sid: str) -> float:
        """Return for how many seconds a socket that was given up had not answered; else 0."""
        return float(getattr(self._connection_of(sid), "silent_for", 0.0))

    def evicted_for(self, sid: str) -> str | None:
        """Return why the server ends a socket's connection, where its client is told otherwise."""
        reason: str | None = getattr(self._connection_of(sid), "evicted_for", None)
        return reason

    def request_of(self, sid: str) -> dict[str, Any]:
        """Return what is kept of the request that opened a socket's connection.

        See `handshake_environ`; it is empty for a socket that is gone.
        """
        return self.server.get_environ(sid) or {}

    def abort(self, sid: str) -> None:
        """End the connection of a socket as if it had been lost."""
        connection = self._connection_of(sid)
        if connection is not None:
            connection.close(wait=False, abort=True)

    def connections(self) -> list[Any]:
        """Return every Engine.IO connection of this process."""
        return list(self.server.eio.sockets.values())

    def _connection_of(self, sid: str) -> Any:
        return self.server.eio.sockets.get(self.server.manager.eio_sid_from_sid(sid, "/"))
