"""Whose address a request came from, as far as it is counted against one."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_UNKNOWN = "unknown"
# An address as proxies write it into X-Forwarded-For: with a port or without, IPv6 in brackets or
# not, in quotes or not.
_ADDRESS = re.compile(r'\s*"?(?:\[([^\]]*)\](?::\d+)?|([^:\s"]+)(?::\d+)?|([^\s"]*))"?\s*')
_LONGEST = 128
# Of so many texts it is known what they count as: several ask that of one request.
_REMEMBERED = 4096
# A household or an office is given at least this much of IPv6, and may use any address in it.
_IPV6_PREFIX = 64


def behind_proxies(wsgi_app: WSGIApplication, proxies: int) -> WSGIApplication:
    """Let an app see the client's own address and scheme, behind this many reverse proxies.

    Each of them must add the address it was called from to X-Forwarded-For. Only that many are
    read, from the right: what stands before them is whatever the client wrote. The Host header
    has to be passed on as it is, because a proxy that sets no X-Forwarded-Host would pass on the
    client's.
    """
    return ProxyFix(wsgi_app, x_for=proxies, x_proto=proxies) if proxies else wsgi_app


def address_of(environ: WSGIEnvironment) -> str:
    """Return the address that a request counts for: an IPv4 address, or a /64 network of IPv6."""
    return _counted(str(environ.get("REMOTE_ADDR") or "")[:_LONGEST])


@functools.lru_cache(maxsize=_REMEMBERED)
def _counted(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
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
