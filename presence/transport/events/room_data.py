"""The Socket.IO event ``update_room_data``."""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.data import room_data
from presence.domain.data.room_data import Wish
from presence.domain.permissions.tokens import ROOM
from presence.storage import database
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import UpdateRoomData
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    dispatch.register(run, "update_room_data", on_update_room_data, Need(ROOM))


@described.event(
    message=UpdateRoomData,
    answer=room_responses.RoomDataStored,
    success="update_room_data_success",
    errors=(
        errors.NotJoined,
        errors.RoomDataConflict,
        errors.RoomDataTooLarge,
        errors.RoomStorageFull,
        errors.ServerStorageFull,
        errors.DatabaseFull,
    ),
    heard=("room_data_updated", "peer_list_updated"),
)
def on_update_room_data(run: Runtime, sid: str, data: Any) -> Body:
    """Change the data of the room, announcing it to everybody in it."""
    message = messages.parse_room_update(data, run.settings.max_user_data_bytes)
    wish = Wish(message.room_data, message.remove, message.replace, message.if_version)
    with run.announcer.in_order(run.members.room_of(sid)):
        with database.writing() as session:
            updated = room_data.change_by_socket(session, sid, wish, run.limits, run.quotas)
        run.announcer.note(updated.change)
        body = serializers.room_data_success(updated) | messages.hinted(data, UpdateRoomData)
        run.sockets.send(sid, "update_room_data_success", body)
        if updated.change is not None:
            notice = serializers.room_data_notice(updated)
            run.announcer.emit("room_data_updated", notice, updated.room_name)
    if updated.change is not None:
        run.announcer.mark_change(updated.change, updated.room_name, told=True)
    return body
