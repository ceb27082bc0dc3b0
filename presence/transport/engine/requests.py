"""What is asked for at Socket.IO's path, and how it is answered (Engine.IO protocol 4).

The library answers a request by what it looks like: a WebSocket's whose headers a proxy has dropped
was served as a poll, and took what waited for the client. Here a request is what it says that it
is, in its parameter ``transport``, and one that cannot be that is refused with a sentence before
anything of a session is touched.
"""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import engineio.packet
import engineio.payload
import engineio.socket

from presence.errors import (
    ProtocolRefused,
    SessionElsewhere,
    SessionUnknown,
    SessionUpgraded,
    TransportRefused,
    UpgradeIncomplete,
    UpgradeRefused,
)
from presence.logs import OncePerMinute
from presence.transport.polling import old_clients
from presence.transport.polling.exchanges import mark_of
from presence.transport.websocket import protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

_VERSION = "4"
_POLLING, _WEBSOCKET = "polling", "websocket"
# The beginning of an id that a worker with a name has given, as `PRESENCE_WORKER_NAME` may be.
_HOLDER = re.compile(r"([a-z0-9-]{1,16})\.")


class Requests:
    """Answers the requests to an Engine.IO server, in the place of the library's own handler.

    `worker` is the name that the ids of this process's connections begin with, if it was given one.
    """

    def __init__(self, engine: Any, tell_and_close: Callable[..., Any], worker: str) -> None:
        self._engine = engine
        self._worker = worker
        self._tell_and_close = tell_and_close
        self._log_old = OncePerMinute(log)

    def handle(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; raises `PresenceError` for one that cannot be served."""
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return self._send(environ, start_response, "ok")
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        transport, sid = query.get("transport"), query.get("sid")
        if transport not in (_POLLING, _WEBSOCKET) or "j" in query:
            raise TransportRefused("JSONP" if "j" in query else transport)
        if transport == _WEBSOCKET:
            _check_upgrade(environ)
        if query.get("EIO") == old_clients.VERSION and method in ("GET", "POST"):
            return self._tell_old_client(environ, start_response, transport, sid)
        if sid is None:
            if query.get("EIO") != _VERSION:
                raise ProtocolRefused(query.get("EIO"))
            if method not in ("GET", "POST"):
                raise TransportRefused(f"{transport} by {method}")
            if method != "GET":
                raise SessionUnknown("The request names no connection (sid)")
            return self._open(environ, start_response, transport)
        connection = self._connection(sid)
        if transport == _WEBSOCKET:
            if connection.upgrading:
                raise SessionUpgraded
            answer: Iterable[bytes] = connection._upgrade_websocket(environ, start_response)
            return answer
        if method == "GET":
            return self._send(environ, start_response, _encoded(connection.answer_poll(environ)))
        if method == "POST":
            connection.answer_post(environ)
            return self._send(environ, start_response, "ok")
        raise TransportRefused(f"polling by {method}")

    def _open(
        self, environ: WSGIEnvironment, start_response: StartResponse, transport: str
    ) -> Iterable[bytes]:
        """Open a connection."""
        engine = self._engine
        sid = engine.generate_id()
        connection = engine.sockets[sid] = engineio.socket.Socket(engine, sid)
        opening = {
            "sid": sid,
            "upgrades": engine._upgrades(sid, transport),
            # The library tells whole seconds, and keeps to the setting all the same.
            "pingInterval": round(engine.ping_interval * 1000),
            "pingTimeout": round(engine.ping_timeout * 1000),
            "maxPayload": engine.max_http_buffer_size,
        }
        connection.send(engineio.packet.Packet(engineio.packet.OPEN, opening))
        engine._trigger_event("connect", sid, environ, run_async=False)
        connection.schedule_ping()
        if transport == _WEBSOCKET:
            answer: Iterable[bytes] = connection._upgrade_websocket(environ, start_response)
            if connection.closed:
                engine.sockets.pop(sid, None)
            return answer
        connection.connected = True
        connection.begin_polling(mark_of(environ))
        return self._send(environ, start_response, _encoded(connection.poll()))

    def _connection(self, sid: str) -> Any:
        """Return an open connection that has no WebSocket; raises `PresenceError`."""
        connection = self._engine.sockets.get(sid)
        if connection is None or connection.closed:
            holder = _HOLDER.match(sid)
            if self._worker and holder is not None and holder[1] != self._worker:
                raise SessionElsewhere(holder[1], self._worker)
            raise SessionUnknown
        if connection.upgraded or not connection.connected:
            raise SessionUpgraded
        return connection

    def _tell_old_client(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        transport: str,
        sid: str | None,
    ) -> Iterable[bytes]:
        """Tell a client of the protocol before this one to be replaced, so that it shows it."""
        address = environ.get("REMOTE_ADDR")
        self._log_old.warning(
            address, "%s has a client of an older Socket.IO. %s", address, old_clients.SENTENCE
        )
        if transport == _WEBSOCKET:
            told: Iterable[bytes] = self._tell_and_close(
                self._engine, environ, start_response, old_clients.packets()
            )
            return told
        if environ["REQUEST_METHOD"] == "POST":
            return self._send(environ, start_response, "ok")
        answer = old_clients.CLOSE if sid else old_clients.payload(old_clients.packets())
        return self._send(environ, start_response, answer)

    def _send(
        self, environ: WSGIEnvironment, start_response: StartResponse, text: str
    ) -> Iterable[bytes]:
        body = text.encode()
        headers = [("Content-Type", "text/plain; charset=UTF-8")]
        if len(body) >= self._engine.compression_threshold and _takes_gzip(environ):
            body = gzip.compress(body, compresslevel=6)
            headers.append(("Content-Encoding", "gzip"))
        headers += [("Content-Length", str(len(body))), *self._engine._cors_headers(environ)]
        start_response("200 OK", headers)
        return [body]


def _check_upgrade(environ: WSGIEnvironment) -> None:
    """Raise what keeps a request from being one for a WebSocket (RFC 6455, section 4.2.1)."""
    try:
        protocol.check_request(environ)
    except protocol.BadHandshake as error:
        if error.missing:
            raise UpgradeIncomplete(error.missing, error.hint) from None
        raise UpgradeRefused(error.hint) from None


def _encoded(packets: list[Any]) -> str:
    return str(engineio.payload.Payload(packets=packets).encode())


def _takes_gzip(environ: WSGIEnvironment) -> bool:
    accepted = environ.get("HTTP_ACCEPT_ENCODING", "").lower().split(",")
    for coding, _, weight in (item.partition(";") for item in accepted):
        if coding.strip() == "gzip":
            return weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
