"""WebSockets of a threaded server: opened by the library, ended as a whole.

Under eventlet they are streams of our own (see `stream_connections`).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from presence.transport.websocket import extensions, protocol
from presence.transport.websocket.early_bytes import SOCKETS, SocketWithMore, sent_along

# What the library is shown of a request's headers as it came, and what a checked one asks for,
# whatever else may stand in the same headers.
_READ = frozenset(
    f"HTTP_SEC_WEBSOCKET_{name}" for name in ("EXTENSIONS", "KEY", "PROTOCOL", "VERSION")
)
_ASKED = {"HTTP_HOST": "server", "HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket"}


def transport_below(websocket: Any) -> Any:
    """Return the socket below a WebSocket, whichever library made it."""
    ws = getattr(websocket, "ws", websocket)
    return getattr(ws, "socket", None) or getattr(ws, "sock", None)


def cut(transport: Any) -> None:
    """End a TCP connection, if one is given, which wakes whoever reads or writes it."""
    if transport is not None:
        with suppress(OSError):
            transport.shutdown(socket.SHUT_RDWR)


def _closing(ws: Any, close: Callable[[], None]) -> Callable[[], None]:
    """Return a function that closes a WebSocket and its connection, if nobody did before.

    A client that did something wrong is told what (``ws.fault``).
    """
    first = threading.Lock()

    def close_once() -> None:
        if first.acquire(blocking=False):
            fault = getattr(ws, "fault", None)
            with suppress(OSError):
                if fault is None or not ws.ws.connected:
                    close()
                else:
                    ws.ws.close(protocol.PROTOCOL_ERROR, protocol.reason_of_close(fault))
            cut(transport_below(ws))

    return close_once


def served(
    server: Any, environ: dict[str, Any], start_response: Any, handler: Callable[[Any], Any]
) -> Any:
    """Open a WebSocket by the library that the async mode has for it, and call `handler` with it.

    Whoever closes it, and however the handler ends, the client is told, and the connection below
    ends with it: the library's thread waits in a call on it, for which the kernel would keep it
    open after everybody else had closed it. Raises `ConnectionError` at its end, so that nobody
    else answers on it.
    """

    def handle(ws: Any) -> Any:
        ws.close = _closing(ws, ws.close)
        try:
            return handler(ws)
        finally:
            ws.close()

    environ = _plain(environ)
    early = sent_along(environ)
    if early:
        for name in SOCKETS & environ.keys():
            environ[name] = SocketWithMore(environ[name], early)
    chosen = protocol.chosen_subprotocol(environ)
    websocket = server._async["websocket"](handle, server, subprotocols=[chosen] if chosen else [])
    return websocket(environ, start_response)


def _plain(environ: dict[str, Any]) -> dict[str, Any]:
    """Return a checked request with nothing but what one for a WebSocket must have.

    It may have more, such as a list of what to upgrade to, or headers that no parser of the
    library's takes, which then fails without an answer.
    """
    plain = {
        name: value
        for name, value in environ.items()
        if not name.startswith("HTTP_") or name in _READ
    }
    if extensions.granted(plain.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", "")) is None:
        plain.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    return plain | _ASKED


def tell_and_close(
    server: Any, environ: dict[str, Any], start_response: Any, texts: list[str]
) -> Any:
    """Open a WebSocket only to send these messages over it."""

    def tell(ws: Any) -> list[Any]:
        for text in texts:
            ws.send(text)
        ws.close()
        return []

    return served(server, environ, start_response, tell)
