"""How many requests an address may make in a minute, and what their headers may be.

Pages, files and the API count alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, request

from presence.errors import HeadersTooLarge, PresenceError, RequestMalformed, TooManyRequests
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer
from presence.transport.admission.rates import Rates

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What gunicorn takes by itself; other servers take more or less, and say so in words of their own.
HEADER_BYTES = 8190

# Blanks in a row. Werkzeug's readers of headers try each of a run as its beginning: 8 kB of them in
# ``Accept`` took 150 ms, and in ``Cookie`` 900.
_MOST_BLANKS = 64
_BLANKS = re.compile(rf"[ \t]{{{_MOST_BLANKS + 1}}}")

# Asked by machines at all times, and by the load balancer when it matters most.
_UNCOUNTED = {"/healthz", "/readyz", "/metrics"}


def init_app(app: Flask, rates: Rates) -> None:
    """Count every request before it is handled; one too many is answered `TooManyRequests`."""

    @app.before_request
    def count() -> None:
        if request.endpoint != "static" and request.path not in _UNCOUNTED:
            rates.count(TooManyRequests, address_of(request.environ))


class CheckedHeaders:
    """Refuses a request one of whose headers is too long to be read, whichever server took it."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer what is wrong with it, without a look at what that is."""
        wrong = {
            name: error
            for name, value in environ.items()
            if (name.startswith("HTTP_") or name == "CONTENT_TYPE")
            and len(value) > _MOST_BLANKS
            and (error := _wrong_with(value))
        }
        if not wrong:
            return self._wsgi_app(environ, start_response)
        readable = {name: value for name, value in environ.items() if name not in wrong}
        status, headers, body = http_answer(next(iter(wrong.values())), readable)
        start_response(status, headers)
        return [body]


def _wrong_with(value: str) -> PresenceError | None:
    if len(value) > HEADER_BYTES:
        return HeadersTooLarge(HEADER_BYTES)
    if _BLANKS.search(value):
        return RequestMalformed(f"a header has more than {_MOST_BLANKS} blanks in a row")
    return None
