"""How many Socket.IO connections there may be, at once and a minute, of an address and in all.

A connection counts once, when it is opened; what it sends is measured by
`presence.transport.engine.throttle`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from presence.config import Settings
from presence.errors import PresenceError, ServerFull, TooManyConnects, TooManySockets
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer
from presence.transport.admission.rates import Rates
from presence.transport.admission.unused_connections import UnusedConnections
from presence.transport.engine.sockets import Sockets

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)


class ConnectionLimits:
    """Lets connections in while there is room for them, and counts those that are in."""

    def __init__(
        self,
        wsgi_app: WSGIApplication,
        settings: Settings,
        rates: Rates,
        sockets: Sockets,
        unused: UnusedConnections,
    ) -> None:
        self._wsgi_app = wsgi_app
        self._settings = settings
        self._rates = rates
        self._engine = engine = sockets.server.eio
        self._counting = threading.Lock()
        self._addresses: dict[str, str] = {}
        self._held: Counter[str] = Counter()
        self._told_of_proxy = False
        came, left = engine.handlers["connect"], engine.handlers["disconnect"]

        def connect(eio_sid: str, environ: WSGIEnvironment) -> Any:
            self._enter(eio_sid, address_of(environ))
            unused.add(eio_sid)
            return came(eio_sid, environ)

        def disconnect(eio_sid: str, reason: str) -> None:
            self._leave(eio_sid)
            left(eio_sid, reason)

        engine.on("connect", connect)
        engine.on("disconnect", disconnect)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or refuse a connection that would be one too many."""
        if _opens_connection(environ):
            try:
                self._admit(environ)
            except PresenceError as error:
                status, headers, body = http_answer(error, environ)
                # Readable for pages of other hosts too, like every answer.
                headers += self._engine._cors_headers(environ)
                start_response(status, headers)
                return [body]
        return self._wsgi_app(environ, start_response)

    def _admit(self, environ: WSGIEnvironment) -> None:
        """Raise what speaks against one more connection."""
        settings, address = self._settings, address_of(environ)
        try:
            self._rates.count(TooManyConnects, address)
            if 0 < settings.sockets_per_address <= self._held[address]:
                raise TooManySockets(settings.sockets_per_address)
        except PresenceError:
            self._hint_at_proxy(environ)
            raise
        if len(self._addresses) >= settings.max_connections:
            raise ServerFull(settings.max_connections)

    def _hint_at_proxy(self, environ: WSGIEnvironment) -> None:
        """Say once that all clients may be counted as one because of a setting."""
        if (
            "HTTP_X_FORWARDED_FOR" in environ
            and not self._settings.trusted_proxies
            and not self._told_of_proxy
        ):
            self._told_of_proxy = True
            log.warning(
                "%s is refused more connections, and says that it is a proxy: if it is yours, set "
                "PRESENCE_TRUSTED_PROXIES, so that its clients are told apart",
                address_of(environ),
            )

    def _enter(self, eio_sid: str, address: str) -> None:
        with self._counting:
            self._addresses[eio_sid] = address
            self._held[address] += 1

    def _leave(self, eio_sid: str) -> None:
        with self._counting:
            address = self._addresses.pop(eio_sid, None)
            if address is not None:
                self._held[address] -= 1
                if not self._held[address]:
                    del self._held[address]


def _opens_connection(environ: WSGIEnvironment) -> bool:
    """Tell whether a request asks for a new connection, and is none of one that exists."""
    if not str(environ.get("PATH_INFO", "")).startswith("/socket.io/"):
        return False
    # Read as the library reads it, so that no spelling gets past.
    query = parse_qs(str(environ.get("QUERY_STRING", "")))
    return environ["REQUEST_METHOD"] == "GET" and "sid" not in query
