"""The Socket.IO event ``update_user_data``."""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.peers import peers
from presence.domain.permissions.tokens import UPDATE
from presence.storage import database
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import UpdateUserData
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    dispatch.register(run, "update_user_data", on_update_user_data, Need(UPDATE))


@described.event(
    message=UpdateUserData,
    answer=room_responses.UserDataStored,
    success="update_user_data_success",
    errors=(errors.NotJoined, errors.Conflict, errors.UserDataTooLarge, errors.DatabaseFull),
    heard=("user_data_updated", "peer_list_updated"),
)
def on_update_user_data(run: Runtime, sid: str, data: Any) -> Body:
    """Change the peer's user data, announcing it to the others in the room."""
    message = messages.parse_update(data, run.settings.max_user_data_bytes)
    seat = run.switchboard.seat(sid)
    with run.announcer.in_order(seat.room_name if seat else None):
        known = run.room_lists.known(*seat) if seat else None
        with database.writing() as session:
            updated = peers.update_data_of_socket(
                session,
                sid,
                known=(seat.room_name, known) if seat and known else None,
                new_data=message.user_data,
                remove=message.remove,
                replace=message.replace,
                if_version=message.if_version,
                limits=run.limits,
            )
        run.announcer.note(updated.change)
        body = serializers.user_data_success(updated) | messages.hinted(data, UpdateUserData)
        run.sockets.send(sid, "update_user_data_success", body)
        notice = serializers.user_data_notice(updated)
        run.announcer.emit("user_data_updated", notice, updated.room_name, skip=sid)
    run.diary.note(updated)
    run.announcer.mark_change(updated.change, updated.room_name, told=True)
    return body
