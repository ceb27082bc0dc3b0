"""Connection state recovery, the server's half: clients get their room back by themselves.

From 4.6 on, Socket.IO's own client remembers a ``pid`` that the server gave it on connecting and
shows it when it reconnects. python-socketio gives none. So this module adds one to every CONNECT
packet, a secret which the domain keeps with the session, and puts whoever shows it back into the
room: after a lost network, a restart or a crash, with no join from the application.

The protocol also lets a server replay missed packets; here the client gets the whole list instead.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from socketio import packet

from presence.domain.peers import recovery
from presence.storage import database
from presence.transport.events import joining
from presence.transport.process.runtime import Runtime

_MAX_SECRET = 64


def init_app(run: Runtime) -> None:
    """Give every socket a secret, and put back who shows one."""
    server = run.socketio.server
    send_packet, handle_connect = server._send_packet, server._handle_connect
    handle_event = server._handle_event

    # The CONNECT packets that wait until it is known whether a socket can have its place back.
    waiting: dict[str, Any] = {}

    def send(eio_sid: str, pkt: Any) -> None:
        if pkt.packet_type == packet.CONNECT and isinstance(pkt.data, dict) and "sid" in pkt.data:
            pkt.data = {**pkt.data, "pid": run.secrets.make(pkt.data["sid"])}
            if eio_sid in waiting:
                waiting[eio_sid] = pkt
                return
        send_packet(eio_sid, pkt)

    def connect(eio_sid: str, namespace: str | None, data: Any) -> None:
        if run.stopping:
            # It would get a secret here that the next process knows nothing of.
            close(eio_sid)
            return
        shown = data.get("pid") if isinstance(data, dict) else None
        if not (isinstance(shown, str) and len(shown) <= _MAX_SECRET and shown.isascii()):
            handle_connect(eio_sid, namespace, data)
            return
        waiting[eio_sid] = None
        try:
            handle_connect(eio_sid, namespace, data)
        finally:
            greeting = waiting.pop(eio_sid)
        if greeting is None:
            return  # it was refused
        greet = partial(send_packet, eio_sid, greeting)
        sid = server.manager.sid_from_eio_sid(eio_sid, namespace or "/")
        if sid is None or not run.sockets.is_connected(sid):
            return  # it is gone
        if not joining.put_back(run, sid, shown, greet):
            close(eio_sid)

    def close(eio_sid: str) -> None:
        connection = server.eio.sockets.get(eio_sid)
        if connection is not None:
            connection.close(wait=False)

    def handle(eio_sid: str, namespace: str | None, ack_id: int | None, data: Any) -> None:
        # Only a client that has its CONNECT packet sends events.
        sid = server.manager.sid_from_eio_sid(eio_sid, namespace or "/")
        if run.secrets.has_sign_of(sid):
            with run.app.app_context(), database.writing(upkeep=True) as session:
                recovery.confirm(session, sid)
        handle_event(eio_sid, namespace, ack_id, data)

    server._send_packet, server._handle_connect = send, connect
    server._handle_event = handle
