"""The Socket.IO event ``state``: what is true of a connection just now.

It comes many times a second, so it is read by hand, and needs no app context: nothing is stored.
"""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.permissions.tokens import UPDATE
from presence.domain.values import user_data
from presence.errors import InvalidField, InvalidJson, NotJoined, StateTooLarge
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, room_responses
from presence.transport.wire.messages import SetState
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

MAX_BYTES = 4096


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    dispatch.register(run, "state", on_state, Need(UPDATE), in_app=False)


@described.event(
    message=SetState,
    answer=room_responses.Nothing,
    errors=(errors.NotJoined, errors.StateTooLarge),
    heard=("states_changed",),
)
def on_state(run: Runtime, sid: str, data: Any) -> Body:
    """Tell those in the room who want to know what is true of this connection just now."""
    if not isinstance(data, dict):
        raise InvalidJson('The message must be one JSON object, such as {"state": {…}}.')
    if "state" not in data:
        raise InvalidField("state", "is required; null says that there is none any more.")
    seat = run.switchboard.seat(sid)
    if seat is None:
        raise NotJoined
    state = data["state"]
    text = None
    if state is not None:
        text = user_data.json_of(user_data.check(state, MAX_BYTES, "state", StateTooLarge))
    run.states.set(sid, seat, text)
    if run.switchboard.seat(sid) != seat:
        # It was lost, or has left, meanwhile.
        run.states.gone(sid)
    return {}
