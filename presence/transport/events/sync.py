"""The Socket.IO event ``sync``: what a client missed that hears of changes only."""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.permissions.tokens import JOIN
from presence.errors import NotJoined
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_responses
from presence.transport.wire.messages import Sync
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    dispatch.register(run, "sync", on_sync, Need(JOIN))


@described.event(
    message=Sync,
    answer=room_responses.Synced,
    success="sync_success",
    errors=(errors.NotJoined,),
)
def on_sync(run: Runtime, sid: str, data: Any) -> Body:
    """Send a socket what changed in its room after a version, or all of it."""
    message = messages.parse(Sync, data)
    room_name = run.members.room_of(sid)
    if room_name is None:
        raise NotJoined
    with run.announcer.in_order(room_name):
        body = {**run.announcer.sync(room_name, message.since), **messages.hinted(data, Sync)}
        run.sockets.send(sid, "sync_success", body)
    return body
