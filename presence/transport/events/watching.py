"""The Socket.IO event ``watch``: hearing that a room, or the list of rooms, changed."""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.permissions.tokens import LIST
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_responses
from presence.transport.wire.messages import RoomAddress, Watch
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    dispatch.register(run, "watch", on_watch, Need(LIST, names_room=True))


@described.event(
    message=Watch,
    answer=room_responses.Watching,
    errors=(errors.Banned,),
    heard=("room_changed", "rooms_changed"),
)
def on_watch(run: Runtime, sid: str, data: Any) -> Body:
    """Send this socket ``room_changed`` for one room, or ``rooms_changed`` when it names none."""
    if isinstance(data, dict) and data.get("room_name") is not None:
        room_name = messages.parse(RoomAddress, data).room_name
        run.watchers.watch_room(sid, room_name)
        return {"watching": room_name}
    run.watchers.watch_list(sid)
    return {"watching": None}
