"""The Socket.IO event ``sync``: what a client missed that hears of changes only."""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.permissions.tokens import JOIN
from presence.errors import BroadcastsNotKept, InvalidField, NotJoined
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_list, room_responses
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
    errors=(errors.NotJoined, errors.BroadcastsNotKept),
    heard=("broadcast", "broadcasts_caught_up"),
)
def on_sync(run: Runtime, sid: str, data: Any) -> Body:
    """Send a socket what changed in its room after a version, or what was said meanwhile."""
    message = messages.parse(Sync, data)
    room_name = run.members.room_of(sid)
    if room_name is None:
        raise NotJoined
    number = message.since_broadcast
    if message.since is None and number is None:
        raise InvalidField("since", "is required, unless “since_broadcast” asks for broadcasts.")
    with run.announcer.in_order(room_name):
        if message.since is not None:
            body = run.announcer.sync(room_name, message.since)
        else:
            body = room_list.totals(run.announcer.read(room_name))
        if number is not None:
            missed = run.kept_broadcasts.look(room_name, number)
            if missed is None:
                raise BroadcastsNotKept
            body["broadcasts"] = run.kept_broadcasts.tell_missed(sid, room_name, number, missed)
        body |= messages.hinted(data, Sync)
        run.sockets.send(sid, "sync_success", body)
    return body
