"""The names by which the server is called, and the pages that may call it.

Checked in both modes, where they are set. A WSGI layer, so that Socket.IO, REST, pages and files
stand behind the same gate.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.sansio.utils import host_is_trusted

from presence.config import Settings
from presence.errors import HostRefused, OriginRefused, PresenceError
from presence.logs import OncePerMinute
from presence.setting_values import bracketed, ipv6
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What looks whether the server is well calls it by its address, and learns nothing else.
_FOR_PROBES = {"/healthz", "/readyz"}
# The schemes of pages, and those of their WebSockets, with which some clients name their origin.
_SCHEMES = ("http", "https", "ws", "wss")
_OWN_PORT = re.compile(r":(?:80|443)$")
# What a host's name and port take at the most (RFC 1035), and a scheme before them.
_LONGEST = 280
# What a person on this machine may call an address on which the server listens, besides itself.
_HERE = {
    "127.0.0.1": ("127.0.0.1", "localhost"),
    "0.0.0.0": ("127.0.0.1", "localhost"),  # noqa: S104 – this listens nowhere
    "::1": ("[::1]", "localhost"),
    "::": ("[::1]", "localhost"),
}


class Gate:
    """Refuses requests by a wrong ``Host`` (DNS rebinding) or from a wrong ``Origin``.

    Pages may not read why they were refused, and clients of Socket.IO do not show it, so the log
    says it too.
    """

    def __init__(self, wsgi_app: WSGIApplication, settings: Settings) -> None:
        self._wsgi_app = wsgi_app
        self._settings = settings
        self._log = OncePerMinute(logging.getLogger(__name__))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer it with what is wrong."""
        try:
            self.check(environ)
        except PresenceError as error:
            header = "HTTP_HOST" if isinstance(error, HostRefused) else "HTTP_ORIGIN"
            named = str(environ.get(header, ""))[:_LONGEST]
            address = address_of(environ)
            self._log.warning((address, error.code), "%s: %s (%s)", address, error.detail, named)
            status, headers, body = http_answer(error, environ)
            start_response(status, headers)
            return [body]
        return self._wsgi_app(environ, start_response)

    def check(self, environ: WSGIEnvironment) -> None:
        """Raise `HostRefused` or `OriginRefused` for a request that may not come in."""
        if environ.get("PATH_INFO") in _FOR_PROBES:
            return
        if not _allows_host(self._settings, environ.get("HTTP_HOST")):
            raise HostRefused
        # The same for everybody, and told nobody's name. Whether a page may read them CORS says.
        if str(environ.get("PATH_INFO")).startswith("/static/"):
            return
        if not allows_origin(self._settings, environ.get("HTTP_ORIGIN"), environ):
            raise OriginRefused


def whereabouts(settings: Settings) -> str:
    """Say where a person opens the page: by a name to which the server answers.

    An address where this machine has one, else the place it listens on and a name from its list:
    how that name leads here is for a proxy and DNS to say.
    """
    names = _HERE.get(settings.address, (bracketed(settings.address),))
    for name in names:
        if _allows_host(settings, name):
            return f"http://{name}:{settings.port}/"
    own = settings.hosts[0].removeprefix(".")
    return f"on {names[0]}:{settings.port}, for those who call it {own}"


def allows_origin(settings: Settings, origin: str | None, environ: WSGIEnvironment) -> bool:
    """Tell whether pages of an origin may call: those that are allowed, and the server's own.

    What is no page names none. The scheme of its own does not matter: the server may not know that
    it is served by HTTPS, and native clients write that of the WebSocket.
    """
    if origin is None or settings.origins == "*":
        return True
    if len(origin) > _LONGEST:
        return False
    scheme, _, authority = origin.partition("://")
    own = scheme.lower() in _SCHEMES and _is_same(authority, str(environ.get("HTTP_HOST", "")))
    return own or origin.lower() in settings.origins


def _allows_host(settings: Settings, host: str | None) -> bool:
    """Tell whether the server may be called by this name; by any where none are set."""
    if not settings.hosts or "*" in settings.hosts:
        return True
    if host is None or len(host) > _LONGEST:
        return False
    address = ipv6(host)
    if address is not None:
        return address in map(ipv6, settings.hosts)
    return host_is_trusted(host.lower(), settings.hosts)


def _is_same(authority: str, host: str) -> bool:
    """Tell whether two names mean the same place: case, and a scheme's own port, do not matter."""
    return 0 < len(host) <= _LONGEST and _plain(authority) == _plain(host)


def _plain(authority: str) -> str:
    return _OWN_PORT.sub("", authority.lower())
