"""The REST routes of the data of rooms."""

from __future__ import annotations

from flask import Blueprint, request

from presence import errors
from presence.domain.data import room_data
from presence.domain.data.room_data import Wish
from presence.domain.permissions.tokens import LIST, ROOM
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.backend import once
from presence.transport.process import hinting
from presence.transport.process.runtime import runtime
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import (
    ActingQuery,
    PeerAddress,
    RoomAddress,
    UpdateRoomOverRest,
)
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("room_data_api", __name__, url_prefix="/api/webrtc/rooms/<room_name>/data")


@bp.get("")
@described.route(group="rooms", answer=room_responses.RoomDataKept, errors=(errors.RoomNotFound,))
@needs(LIST)
def get_room_data(room_name: str) -> Body:
    """Return the data of a room, and who changed it last."""
    address = messages.parse(RoomAddress, {"room_name": room_name})
    with database.reading() as session:
        return serializers.room_data(address.room_name, room_data.of(session, address.room_name))


@bp.post("")
@described.route(
    group="rooms",
    answer=room_responses.RoomDataStoredOverRest,
    body=UpdateRoomOverRest,
    query=ActingQuery,
    errors=(
        errors.RoomNotFound,
        errors.PeerNotFound,
        errors.RoomDataConflict,
        errors.RoomDataTooLarge,
        errors.RoomStorageFull,
        errors.ServerStorageFull,
        errors.DatabaseFull,
    ),
)
@needs(ROOM, acts=True)
def update_room_data(room_name: str) -> Body:
    """Change the data of a room, announcing it to everybody in it.

    A peer may be named who does it. Without one it is the token's own, and where that is an
    admin's or the server open, it is the server's own act.
    """
    run = runtime()
    data = hinting.json_body()
    message = messages.parse_room_update(data, run.settings.max_user_data_bytes)
    name, by = _acting(room_name, data)
    wish = Wish(message.room_data, message.remove, message.replace, message.if_version)
    with run.announcer.in_order(name):
        with once.writing() as session:
            updated = room_data.change(
                session,
                name,
                wish,
                run.limits,
                run.quotas,
                by=by,
                renew_seconds=run.settings.rest_session_seconds,
            )
            body = {"success": True, **serializers.room_data_success(updated)}
            once.answered(session, body)
        run.announcer.note(updated.change)
        if updated.change is not None:
            notice = serializers.room_data_notice(updated)
            run.announcer.emit("room_data_updated", notice, updated.room_name)
    if updated.change is not None:
        run.announcer.mark_change(updated.change, updated.room_name, told=True)
    return body


def _acting(room_name: str, data: Body) -> tuple[str, str | None]:
    """Return the room's name and the peer who acts: by the query, the body, or else the token.

    Raises `InvalidField`, and what `request_access.require` does for a peer that is another one.
    """
    named = request.args.get("peer_id", data.get("peer_id"))
    if named is not None:
        address = messages.parse(PeerAddress, {"room_name": room_name, "peer_id": named})
        request_access.require(ROOM, address.room_name, address.peer_id)
        return address.room_name, address.peer_id
    room = messages.parse(RoomAddress, {"room_name": room_name})
    caller = request_access.caller()
    return room.room_name, None if caller is None or caller.is_admin else caller.peer_id
