"""The Socket.IO server and the WSGI layers around the app, set up for this stack."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS
from flask_socketio import SocketIO

from presence.config import Settings
from presence.logs import Printed
from presence.storage.database import CannotServe
from presence.transport.admission import error_page, hosts_and_origins
from presence.transport.cluster.socket_manager import ClusterManager
from presence.transport.engine import connections, handshake_environ, packets
from presence.transport.engine.connections import Connection
from presence.transport.engine.heartbeat import Heartbeat
from presence.transport.engine.socket_rooms import SocketRooms
from presence.transport.engine.throttle import Floodgate
from presence.transport.wire import json_codec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from presence.transport.process.runtime import Runtime


log = logging.getLogger(__name__)


def async_mode() -> str:
    """Return how this process runs: ``eventlet`` where it is monkey-patched, else ``threading``.

    Asks without importing eventlet, which would print a deprecation warning under ``flask run``.
    """
    patcher: Any = sys.modules.get("eventlet.patcher")
    return "eventlet" if patcher and patcher.is_monkey_patched("socket") else "threading"


def make_socketio(app: Flask, settings: Settings) -> SocketIO:
    """Attach a Socket.IO server to the app, with cross-origin access as in the settings."""
    mode = async_mode()
    is_behind = _install_connections(mode)
    CORS(app, origins=settings.origins, max_age=86_400)
    manager = ClusterManager(settings.redis_prefix) if settings.redis_url else SocketRooms()
    socketio = SocketIO(
        app,
        client_manager=manager,
        async_mode=mode,
        # One client's events are handled in the order in which it sent them.
        async_handlers=False,
        manage_session=False,
        serializer=packets.TextPacket,
        json=json_codec,
        cors_allowed_origins=partial(hosts_and_origins.allows_origin, settings)
        if settings.is_locked
        else settings.origins,
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
    packets.guard(socketio.server, Floodgate(socketio.server, settings))
    return socketio


def _install_connections(mode: str) -> Callable[[], bool]:
    """Choose how connections are served; returns what tells whether messages wait for it."""
    if mode == "eventlet":
        # Not at the top: it imports eventlet.
        from presence.transport.engine import stream_connections  # noqa: PLC0415

        connections.install(stream_connections.StreamConnection)
        return lambda: stream_connections.turns().is_behind()
    connections.install(Connection)
    return lambda: False


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


class LoggedErrors:
    """Turns into records what a library prints about a request (``wsgi.errors``).

    eventlet writes there, without so much as a line's end, when a WebSocket's client has gone.
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app
        self._stream = Printed(logging.getLogger("wsgi"), logging.INFO, sys.stderr)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with a stream that logs."""
        environ["wsgi.errors"] = self._stream
        return self._wsgi_app(environ, start_response)


class StartOnFirstRequest:
    """Starts the runtime before the first request is handled.

    Servers without a hook for it (``flask run``, whose reloader builds the app in a process that
    never serves) start this way; gunicorn's worker and ``python app.py`` start it themselves.
    """

    def __init__(self, wsgi_app: WSGIApplication, runtime: Runtime) -> None:
        self._wsgi_app = wsgi_app
        self._runtime = runtime

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, once the runtime has started."""
        try:
            self._runtime.start()
        except CannotServe as error:
            log.error("%s", error)
            if error_page.is_wanted(environ):
                start_response("503 Service Unavailable", list(error_page.HEADERS.items()))
                return [error_page.explaining(str(error)).encode()]
            body = json_codec.dumps({"code": "cannot_serve", "detail": str(error)}).encode()
            start_response("503 Service Unavailable", [("Content-Type", "application/json")])
            return [body]
        return self._wsgi_app(environ, start_response)
