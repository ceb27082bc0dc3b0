"""What every message of a connection passes before python-socketio takes it for a packet."""

from __future__ import annotations

import logging
import re
from typing import Any

from socketio import Server

from presence.transport.engine.throttle import Throttle

log = logging.getLogger(__name__)

# Binary data is refused by the field that it stands in, so a little of it may follow unread.
_MAX_ATTACHMENTS = 4
_ANNOUNCEMENT = re.compile(r"[56](\d{1,10})-")


def install(server: Server, throttle: Throttle) -> None:
    """Close a connection that sends what is no Socket.IO packet, and let no sender hog the process.

    Every message has to pass `throttle` first.

    Left to itself the library logs a traceback for each bad packet and goes on. The protocol lets a
    receiver close the connection, and the client then knows. And a greenlet that always finds its
    next message waiting would never let the others run: measured with 3,000 events from one client,
    nobody else heard anything for seven seconds.
    """
    handle_message = server._handle_eio_message

    def handle(eio_sid: str, data: Any) -> None:
        connection = server.eio.sockets.get(eio_sid)
        if connection is not None and not throttle.lets_through(connection):
            return
        try:
            if connection is None or not _is_attachment(connection, data):
                if not data:
                    raise ValueError("an empty packet")  # the library takes it for an event
                handle_message(eio_sid, data)
        except ValueError as error:
            log.warning("closed a connection that sent an invalid packet: %s", error)
        except Exception:
            log.exception("closed a connection after an unexpected error")
        else:
            if connection is not None:
                connection.let_it_read()
            return
        if connection is not None:
            connection.close(wait=False, reason=server.reason.SERVER_DISCONNECT)

    server.eio.on("message", handle)


def _is_attachment(connection: Any, data: str | bytes) -> bool:
    """Tell whether a message is a binary attachment that the connection has announced.

    Any other message may announce some. Raises `ValueError` for too many, and for text in the
    place of one.
    """
    if connection.attachments_due:
        if isinstance(data, str):
            raise ValueError("text where a binary attachment was announced")
        connection.attachments_due -= 1
        return True
    announced = _ANNOUNCEMENT.match(data) if isinstance(data, str) else None
    connection.attachments_due = int(announced[1]) if announced else 0
    if connection.attachments_due > _MAX_ATTACHMENTS:
        raise ValueError("too many binary attachments")
    return False
