"""Requests for a WebSocket at addresses that have none.

Some proxies put the headers of an upgrade on every request, also on those of REST and for pages.
Those are served as what they are (RFC 9110, section 7.8, permits to ignore an upgrade). What asks
for a WebSocket indeed is told where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from presence.errors import NoWebSocketHere

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Where the header is left for the doctor, who looks at how a request arrived.
UPGRADE = "presence.upgrade"
_SOCKETIO = "/socket.io/"
_PROBE = "/doctor/upgrade/"


class NoUpgrades:
    """Takes the header ``Upgrade`` off requests that are not for Socket.IO."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on; raises `NoWebSocketHere`."""
        path = str(environ.get("PATH_INFO", ""))
        if "HTTP_UPGRADE" in environ and not path.startswith(_SOCKETIO):
            environ[UPGRADE] = environ.pop("HTTP_UPGRADE")
            if "HTTP_SEC_WEBSOCKET_KEY" in environ and not path.startswith(_PROBE):
                raise NoWebSocketHere
        return self._wsgi_app(environ, start_response)
