"""Asking every connection for its token, and every event of it whether that token allows it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from socketio import Server
from socketio.exceptions import ConnectionRefusedError as Refused

from presence.domain.peers import lobbies
from presence.domain.permissions import tokens
from presence.errors import NotAdmitted, PresenceError
from presence.storage import database
from presence.transport.admission.access import Access, check_room
from presence.transport.engine import packet_guard
from presence.transport.wire import messages
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

# What handles an event: given what its process holds, the socket's id and the message.
Handler = Callable[[Any, str, Any], Body]


def init_server(server: Server, access: Access) -> None:
    """Ask every connection for its token, if the server is locked."""
    if access.is_locked:
        server.on("connect", functools.partial(_check_connect, access))


def guarded(access: Access, need: Need, handler: Handler) -> Handler:
    """Return an event's handler with the check before it; as it is where nothing is checked."""
    if not access.is_locked or need.grant is None:
        return handler

    @functools.wraps(handler)
    def check_first(run: Any, sid: str, data: Any) -> Body:
        grants = access.of(sid)
        if need.acts:
            grants.check(str(need.grant))
            address = messages.parse(messages.PeerAddress, data)
            grants.check(str(need.grant), address.room_name, address.peer_id)
        elif need.names_room and isinstance(data, dict) and data.get("room_name") is not None:
            room_name = messages.parse(messages.RoomAddress, data).room_name
            check_room(grants, str(need.grant), room_name)
        elif need.names_room:
            grants.check(str(need.grant))
        else:
            # What it is about is the room that the socket is in.
            access.here(sid).check(str(need.grant))
        return handler(run, sid, data)

    return check_first


def check_place(access: Access, sid: str, room_name: str, peer_id: str) -> None:
    """Raise unless a socket's token lets it join a room as a peer."""
    if access.is_locked:
        access.of(sid).check(tokens.JOIN, room_name, peer_id)


def check_watching(access: Access, sid: str, room_name: str) -> None:
    """Raise unless a socket's token lets it hear of a room that it has not joined.

    Of one with a lobby only who need not wait hears, for nobody looks whether others are in it.
    """
    if access.is_locked:
        check_room(access.of(sid), tokens.LIST, room_name)
        if not access.of(sid).enters:
            with database.reading() as session:
                if lobbies.has_lobby(session, room_name):
                    raise NotAdmitted(room_name)


def _check_connect(access: Access, sid: str, environ: Body, auth: Any = None) -> None:
    """Let a connection in whose token is good; the client gets what is wrong with another."""
    token = auth.get("token") if isinstance(auth, dict) else None
    try:
        access.admit(sid, access.read(token, environ))
    except PresenceError as error:
        refused = Refused(error.detail)
        refused.error_args = packet_guard.refusal(error)
        raise refused from None
