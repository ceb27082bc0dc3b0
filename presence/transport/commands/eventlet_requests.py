"""What eventlet's own server does not tell about a request, for ``python app.py``.

Imports eventlet, so only a process that runs on it may import this.
"""

from __future__ import annotations

from typing import Any

from eventlet import wsgi


class Request(wsgi.HttpProtocol):  # type: ignore[misc]
    """Tells the app the version of HTTP and the address as they were sent.

    By itself the server calls every request one of HTTP/1.0, which cannot become a WebSocket.
    """

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environment of the request."""
        environ: dict[str, Any] = super().get_environ()
        environ["SERVER_PROTOCOL"] = self.request_version
        environ["RAW_URI"] = self.path
        return environ
