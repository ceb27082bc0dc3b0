"""The Socket.IO server, set up for this stack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS
from flask_socketio import SocketIO
from socketio import Manager

from presence.config import Settings
from presence.transport.engine import (
    connections,
    handshake_environ,
    packet_guard,
    packets,
    threaded_websockets,
)
from presence.transport.engine.connections import Connection
from presence.transport.engine.heartbeat import Heartbeat
from presence.transport.engine.requests import Requests
from presence.transport.engine.throttle import Throttle

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

AllowsOrigin = Callable[[str | None, "WSGIEnvironment"], bool]


def async_mode() -> str:
    """Return how this process runs: ``eventlet`` where it is monkey-patched, else ``threading``.

    Asks without importing eventlet, which would print a deprecation warning under ``flask run``.
    """
    patcher: Any = sys.modules.get("eventlet.patcher")
    return "eventlet" if patcher and patcher.is_monkey_patched("socket") else "threading"


def make_socketio(
    app: Flask, settings: Settings, manager: Manager, allows_origin: AllowsOrigin | None
) -> SocketIO:
    """Attach a Socket.IO server to the app, with cross-origin access as in the settings.

    `manager` knows which sockets are in which Socket.IO room; `allows_origin` decides instead of
    the settings alone, where it is given.
    """
    mode = async_mode()
    is_behind, tell_and_close = _install_connections(mode)
    CORS(app, origins=settings.origins, max_age=86_400)
    socketio = SocketIO(
        app,
        client_manager=manager,
        async_mode=mode,
        # One client's events are handled in the order in which it sent them.
        async_handlers=False,
        manage_session=False,
        serializer=packets.TextPacket,
        json=packets.EventJson(settings),
        cors_allowed_origins=allows_origin or settings.origins,
        # There are no cookies here, so no foreign page has any business sending them.
        cors_credentials=False,
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        max_http_buffer_size=settings.max_message_bytes,
        # The heartbeat does this.
        monitor_clients=False,
    )
    engine = socketio.server.eio
    engine.heartbeat = Heartbeat(engine)
    handshake_environ.init_app(engine)
    engine.is_behind = is_behind
    # Whether connections can hold back a packet until the next one (see `multicast`).
    engine.holds = mode == "eventlet"
    engine.websocket_compression = settings.websocket_compression
    engine.handle_request = Requests(engine, tell_and_close, settings.worker_name).handle
    packet_guard.install(socketio.server, Throttle(socketio.server, settings))
    return socketio


def _install_connections(mode: str) -> tuple[Callable[[], bool], Callable[..., Any]]:
    """Choose how connections are served.

    Returns what tells whether messages wait for it, and what tells something to one that is not
    let in.
    """
    if mode == "eventlet":
        # Not at the top: it imports eventlet.
        from presence.transport.engine import stream_connections  # noqa: PLC0415

        connections.install(stream_connections.StreamConnection)
        return stream_connections.is_behind, stream_connections.tell_and_close
    connections.install(Connection)
    return lambda: False, threaded_websockets.tell_and_close


class UncompressedWebSocket:
    """Hides the browser's offer to compress WebSocket messages.

    They would be compressed for every recipient anew: measured with 100 clients and a list of
    27 kB, six times the CPU for each announcement, and 21 MB more memory.
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on without the offer."""
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return self._wsgi_app(environ, start_response)
