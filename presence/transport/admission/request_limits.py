"""How many requests an address may make in a minute, and how long their headers may be.

Pages, files and the API count alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, request

from presence.errors import HeadersTooLarge, TooManyRequests
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer
from presence.transport.admission.rates import Rates

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What gunicorn takes by itself; other servers take more or less, and say so in words of their own.
HEADER_BYTES = 8190

# Asked by machines at all times, and by the load balancer when it matters most.
_UNCOUNTED = {"/healthz", "/readyz", "/metrics"}


def init_app(app: Flask, rates: Rates) -> None:
    """Count every request before it is handled; one too many is answered `TooManyRequests`."""

    @app.before_request
    def count() -> None:
        if request.endpoint != "static" and request.path not in _UNCOUNTED:
            rates.count(TooManyRequests, address_of(request.environ))


class HeaderSizes:
    """Refuses a request one of whose headers is too long, whichever server has read it."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer that it is too large."""
        for name, value in environ.items():
            if name.startswith("HTTP_") and len(str(value)) > HEADER_BYTES:
                status, headers, body = http_answer(HeadersTooLarge(HEADER_BYTES), environ)
                start_response(status, headers)
                return [body]
        return self._wsgi_app(environ, start_response)
