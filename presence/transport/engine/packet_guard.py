"""What every message of a connection passes before python-socketio takes it for a packet."""

from __future__ import annotations

import logging
import re
from typing import Any

from socketio import Server, packet

from presence.errors import AlreadyConnected, NamespaceUnknown, NotConnected, PresenceError
from presence.transport.engine.packets import TextPacket
from presence.transport.engine.throttle import Throttle

log = logging.getLogger(__name__)

# The only namespace that there is.
_NAMESPACE = "/"
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
            if connection is not None:
                connection.blame(str(error))
        except Exception:
            log.exception("closed a connection after an unexpected error")
        else:
            if connection is not None:
                connection.let_it_read()
            return
        if connection is not None:
            connection.close(wait=False, reason=server.reason.SERVER_DISCONNECT)

    server.eio.on("message", handle)
    _answer_strays(server)


def refusal(error: PresenceError) -> dict[str, Any]:
    """Return what a CONNECT_ERROR packet says of a condition.

    Stock clients show ``message``, and hand out ``data`` beside it.
    """
    return {"message": error.detail, "code": error.code, "data": error.body()}


def _answer_strays(server: Server) -> None:
    """Answer what comes for a namespace that does not exist, or in which no socket is connected.

    The library's answer to the one is a bare string, which some clients cannot read; the other it
    does not answer.
    """
    handle_connect, manager = server._handle_connect, server.manager

    def refuse(eio_sid: str, namespace: str, error: PresenceError) -> None:
        if namespace != _NAMESPACE:
            error = NamespaceUnknown(namespace)
        refused = TextPacket(packet.CONNECT_ERROR, data=refusal(error), namespace=namespace)
        server._send_packet(eio_sid, refused)

    def connect(eio_sid: str, namespace: str | None, data: Any) -> None:
        namespace = namespace or _NAMESPACE
        if namespace == _NAMESPACE and manager.sid_from_eio_sid(eio_sid, namespace) is None:
            handle_connect(eio_sid, namespace, data)
        else:
            refuse(eio_sid, namespace, AlreadyConnected())

    def event(eio_sid: str, namespace: str | None, ack_id: int | None, data: Any) -> None:
        namespace = namespace or _NAMESPACE
        sid = manager.sid_from_eio_sid(eio_sid, namespace)
        if sid is None:
            refuse(eio_sid, namespace, NotConnected())
        elif manager.is_connected(sid, namespace):
            server._handle_event_internal(server, sid, eio_sid, data, namespace, ack_id)

    server._handle_connect = connect
    server._handle_event = event


def _is_attachment(connection: Any, data: str | bytes) -> bool:
    """Tell whether a message is a binary attachment that the connection has announced.

    Any other message may announce some, as many as it likes: binary data is refused by the field
    that it stands in, and what follows is not kept. Raises `ValueError` for text in the place of
    one.
    """
    if connection.attachments_due:
        if isinstance(data, str):
            raise ValueError("text where a binary attachment was announced")
        connection.attachments_due -= 1
        return True
    announced = _ANNOUNCEMENT.match(data) if isinstance(data, str) else None
    connection.attachments_due = int(announced[1]) if announced else 0
    return False
