"""Taking sockets out of a room that they did not leave by themselves."""

from __future__ import annotations

from presence.transport.process.runtime import Runtime
from presence.transport.wire.serializers import Body


def see_out(run: Runtime, sids: tuple[str, ...], room_name: str, body: Body) -> None:
    """Let sockets hear no more of a room, and tell them why with ``leave_room_success``.

    Nothing waits for their peer any more, which `body` names.
    """
    run.exit(sids, room_name)
    run.drop_waiting(room_name, body["peer_id"])
    for sid in sids:
        run.socketio.emit("leave_room_success", body, to=sid)
