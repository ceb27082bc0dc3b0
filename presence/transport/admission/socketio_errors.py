"""What is refused at Socket.IO's path: answered like every condition, and named in the log.

Clients hide why a poll or a WebSocket was refused, so whoever runs the server may be the only one
who can read it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from presence.errors import (
    NoWebSocketHere,
    PresenceError,
    ProtocolRefused,
    SessionElsewhere,
    TransportRefused,
    UpgradeIncomplete,
)
from presence.logs import OncePerMinute
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import as_presence_error, http_answer
from presence.transport.engine.draining import throw_away_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What somebody can mend who is not the client: a proxy, or which client is used.
_TO_MEND = (
    UpgradeIncomplete,
    TransportRefused,
    ProtocolRefused,
    SessionElsewhere,
    NoWebSocketHere,
)


class SocketIoErrors:
    """Answers the conditions that an Engine.IO server raises for a request, and its own faults."""

    def __init__(self, wsgi_app: WSGIApplication, engine: Any) -> None:
        self._wsgi_app = wsgi_app
        self._engine = engine
        self._log = OncePerMinute(logging.getLogger(__name__))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer it with what is wrong."""
        begun = False

        def begin(*answer: Any) -> Any:
            nonlocal begun
            begun = True
            return start_response(*answer)

        try:
            return self._wsgi_app(environ, begin)
        except (OSError, StopIteration):
            raise  # how libraries end a WebSocket, on which nobody is to answer
        except Exception as fault:
            if begun or not _is_answered(fault, environ):
                raise
            error = as_presence_error(fault)
            address = address_of(environ)
            if isinstance(error, _TO_MEND):
                self._log.warning((address, error.detail), "%s: %s", address, error.detail)
            throw_away_body(environ)
            status, headers, body = http_answer(error, environ)
            # Readable for pages of other hosts too, like every answer.
            start_response(status, headers + self._engine._cors_headers(environ))
            return [body]


def _is_answered(fault: Exception, environ: WSGIEnvironment) -> bool:
    """Tell whether an answer can be given: a WebSocket that was opened takes none."""
    return isinstance(fault, PresenceError) or "websocket" not in environ.get("QUERY_STRING", "")
