"""WSGI layers of the process: starting it with the first request, and logging for libraries."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING

from presence.logs import Printed
from presence.storage.database import CannotServe
from presence.transport.admission import error_page
from presence.transport.process import starting
from presence.transport.process.runtime import Runtime
from presence.transport.wire import json_codec

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

# Socket.IO's own address ends with a slash, which some clients leave out and some proxies take off.
_SOCKETIO = "/socket.io"
_FILES = "/static/"
# Where pages that were written for Node's server look for the client, and where it is.
_CLIENTS = frozenset({f"{_SOCKETIO}/socket.io.js", f"{_SOCKETIO}/socket.io.min.js"})
_CLIENT = f"{_FILES}vendor/socket.io-client-4.8.4/socket.io.min.js"


class LoggedErrors:
    """Turns into records what a library prints about a request (``wsgi.errors``).

    eventlet writes there, without so much as a line's end, when a WebSocket's client has gone.
    """

    def __init__(self, wsgi_app: WSGIApplication, runtime: Runtime) -> None:
        self._wsgi_app = wsgi_app
        runtime.stall_meter.know(LoggedErrors.__call__, _name_of_request)
        self._stream = Printed(logging.getLogger("wsgi"), logging.INFO, sys.stderr)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with a stream that logs."""
        environ["wsgi.errors"] = self._stream
        return self._wsgi_app(environ, start_response)


class StartOnFirstRequest:
    """Starts the runtime before the first request is handled.

    Servers without a hook for it (``flask run``, whose reloader builds the app in a process that
    never serves) start this way; gunicorn's worker and ``python app.py`` start it themselves.
    """

    def __init__(self, wsgi_app: WSGIApplication, runtime: Runtime) -> None:
        self._wsgi_app = wsgi_app
        self._runtime = runtime

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, once the runtime has started."""
        try:
            if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
                starting.keep_to_owner()
            self._runtime.start()
        except CannotServe as error:
            log.error("%s", error)
            if error_page.is_wanted(environ):
                start_response("503 Service Unavailable", list(error_page.HEADERS.items()))
                return [error_page.explaining(str(error)).encode()]
            body = json_codec.dumps({"code": "cannot_serve", "detail": str(error)}).encode()
            start_response("503 Service Unavailable", [("Content-Type", "application/json")])
            return [body]
        return self._wsgi_app(environ, start_response)


class TidyPaths:
    """Lets an address with a slash too many be the one without: ``/api/webrtc/rooms/``.

    A slash that a client has encoded belongs to a name, and names have none, so it is left for the
    answer that nothing is there. Socket.IO's address alone is the one with a slash, and its client
    is also where Node's server has it.
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on by its plain path."""
        path = environ.get("PATH_INFO", "")
        if path in _CLIENTS:
            environ["PATH_INFO"] = _CLIENT
        elif path == _SOCKETIO or (len(path) > 1 and (path[-1] == "/" or "//" in path)):
            sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or path
            tidy = re.sub("//+", "/", path).rstrip("/") or "/"
            if "%2f" not in sent.partition("?")[0].lower() and not tidy.startswith(_FILES):
                environ["PATH_INFO"] = f"{tidy}/" if tidy == _SOCKETIO else tidy
        return self._wsgi_app(environ, start_response)


def _name_of_request(frame: FrameType) -> str:
    environ = frame.f_locals["environ"]
    return f"the request {environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
