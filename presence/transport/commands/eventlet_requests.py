"""What eventlet's own server does not tell about a request, for ``python app.py``.

Imports eventlet, so only a process that runs on it may import this.
"""

from __future__ import annotations

from typing import Any

from eventlet import wsgi


class Request(wsgi.HttpProtocol):  # type: ignore[misc]
    """Tells the app the version of HTTP and the address as they were sent.

    By itself the server calls every request one of HTTP/1.0, which cannot become a WebSocket, and
    does not say that a body which comes in chunks has an end. Nor is its client shown a traceback.
    """

    def __init__(self, connection: Any, server: Any) -> None:
        server.debug = False
        super().__init__(connection, server)

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environment of the request."""
        environ: dict[str, Any] = super().get_environ()
        environ["SERVER_PROTOCOL"] = self.request_version
        environ["RAW_URI"] = self.path
        if environ["wsgi.input"].chunked_input:
            environ["wsgi.input_terminated"] = True
        return environ
