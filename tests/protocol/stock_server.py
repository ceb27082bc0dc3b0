"""A plain python-socketio server, to see which rules the library follows by itself.

Run as a program it serves on the port that it is given, with an event of the same name as ours.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.wsgi

eventlet.monkey_patch()

import socketio  # noqa: E402

server = socketio.Server(async_mode="eventlet", ping_interval=1, ping_timeout=1)


@server.on("leave_room")
def leave_room(_sid: str, *_args: Any) -> dict[str, bool]:
    """Answer as our server does, in the least."""
    return {"ok": False}


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    eventlet.wsgi.server(eventlet.listen(address), socketio.WSGIApp(server), log_output=False)
