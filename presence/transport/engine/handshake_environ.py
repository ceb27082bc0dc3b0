"""What is kept of the request that opened a connection, for as long as the connection lasts.

python-socketio keeps all of it: the socket, the parser, the body of the first request, and every
header once more for each client. Here nobody asks for more than the client's address, and what
program it is, once the connection is made, so that is what is kept.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_KEPT = ("REMOTE_ADDR",)
PROGRAM = "HTTP_USER_AGENT"
_LONGEST_PROGRAM = 160


def init_app(engine: Any) -> None:
    """Have an Engine.IO server hand on only what is worth keeping."""
    came = engine.handlers["connect"]

    def connect(eio_sid: str, environ: WSGIEnvironment) -> Any:
        return came(eio_sid, kept(environ))

    engine.on("connect", connect)


def kept(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Return the part of a WSGI environment that is worth keeping."""
    few = {name: environ[name] for name in _KEPT if name in environ}
    program = environ.get(PROGRAM)
    if isinstance(program, str):
        # Thousands of clients share a few programs: each name is kept once.
        few[PROGRAM] = sys.intern(program[:_LONGEST_PROGRAM])
    return few
