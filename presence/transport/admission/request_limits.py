"""How many requests an address may make in a minute: pages, files and the API count alike."""

from __future__ import annotations

from flask import Flask, request

from presence.errors import TooManyRequests
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.rates import Rates

# Asked by machines at all times, and by the load balancer when it matters most.
_UNCOUNTED = {"/healthz", "/readyz", "/metrics"}


def init_app(app: Flask, rates: Rates) -> None:
    """Count every request before it is handled; one too many is answered `TooManyRequests`."""

    @app.before_request
    def count() -> None:
        if request.endpoint != "static" and request.path not in _UNCOUNTED:
            rates.count(TooManyRequests, address_of(request.environ))
