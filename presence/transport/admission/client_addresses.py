"""Whose address a request came from, as far as it is counted against one."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

_UNKNOWN = "unknown"
# An address as proxies write it into X-Forwarded-For: with a port or without, IPv6 in brackets or
# not, in quotes or not.
_ADDRESS = re.compile(r'\s*"?(?:\[([^\]]*)\](?::\d+)?|([^:\s"]+)(?::\d+)?|([^\s"]*))"?\s*')
_LONGEST = 128
# A household or an office is given at least this much of IPv6, and may use any address in it.
_IPV6_PREFIX = 64


def behind_proxies(wsgi_app: WSGIApplication, proxies: int) -> WSGIApplication:
    """Let an app see the client's own address and scheme, behind this many reverse proxies.

    Each of them must add the address it was called from to X-Forwarded-For. Only that many are
    read, from the right: what stands before them is whatever the client wrote. The Host header
    has to be passed on as it is, because a proxy that sets no X-Forwarded-Host would pass on the
    client's.
    """
    if not proxies:
        return Unbelieved(wsgi_app)
    return ProxyFix(wsgi_app, x_for=proxies, x_proto=proxies)


class Unbelieved:
    """Says once that requests seem to come through a proxy of which the settings know nothing."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app
        self._is_said = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        if not self._is_said and "HTTP_X_FORWARDED_FOR" in environ:
            self._is_said = True
            log.warning(
                "a request came with X-Forwarded-For, which is not believed: if a proxy stands "
                "before this server, set PRESENCE_TRUSTED_PROXIES=1. Else everybody behind it "
                "counts as one address, and addresses that are told begin with http"
            )
        return self._wsgi_app(environ, start_response)


def address_of(environ: WSGIEnvironment) -> str:
    """Return the address that a request counts for: an IPv4 address, or a /64 network of IPv6."""
    found = _ADDRESS.fullmatch(str(environ.get("REMOTE_ADDR") or "")[:_LONGEST])
    if found is None:
        return _UNKNOWN
    try:
        address = ipaddress.ip_address((found[1] or found[2] or found[3]).split("%", 1)[0])
    except ValueError:
        # A proxy may hide whom it speaks for, by a name that changes at will (RFC 7239, 6.3).
        return _UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)
