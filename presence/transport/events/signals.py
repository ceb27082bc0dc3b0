"""The Socket.IO events ``signal`` and ``broadcast``: what peers tell each other through the server.

They are handled without an app context, and need no query while both peers' sockets are this
process's own: relaying offers and candidates is the busiest thing a server does.
"""

from __future__ import annotations

from typing import Any

from presence import errors
from presence.domain.permissions.tokens import SIGNAL
from presence.domain.rooms.broadcasts import Said
from presence.domain.values import json_values, names
from presence.errors import (
    DatabaseFull,
    InvalidField,
    InvalidJson,
    NotJoined,
    PeerInactive,
    PresenceError,
)
from presence.storage import database
from presence.storage.models import NAME_LENGTH
from presence.transport.backend import happenings
from presence.transport.backend.happenings import WantedPeers
from presence.transport.cluster.relay import Signal, check_data
from presence.transport.events import dispatch
from presence.transport.live.channels import channel
from presence.transport.live.switchboard import Seat, Sender
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, json_codec, signal_responses
from presence.transport.wire.messages import SendBroadcast, SendSignal
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

_MAX_TYPE_LENGTH = 64
_MAX_SESSION_LENGTH = 64


def init_app(run: Runtime) -> None:
    """Register the events on the runtime's Socket.IO server."""
    run.app.extensions["wanted_peers"] = WantedPeers(run)
    dispatch.register(run, "signal", on_signal, Need(SIGNAL), in_app=False)
    dispatch.register(run, "broadcast", on_broadcast, Need(SIGNAL), in_app=False)


@described.event(
    message=SendSignal,
    answer=signal_responses.SignalAnswered,
    errors=(
        errors.NotJoined,
        errors.UnknownPeer,
        errors.PeerInactive,
        errors.PeerUnreachable,
        errors.SignalUnconfirmed,
        errors.SignalTooLarge,
        errors.SignalExpired,
    ),
    error_keys=signal_responses.SignalAddress,
    heard=("signal",),
)
def on_signal(run: Runtime, sid: str, data: Any) -> Body:
    """Hand a signal to a peer of the sender's room, or keep it while that peer reconnects."""
    message = _parse_address(data)
    try:
        seat = _seat(run, sid)  # before anything is done for somebody who may not
        size = _check_data(data, run.settings.max_signal_bytes)
        sender = Sender(sid, seat.room_name)
        return run.relay.deliver(sender, _stamp(seat, sid), message._replace(size=size))
    except PresenceError as error:
        if isinstance(error, PeerInactive) and message.to_session is None:
            to = names.normalise(message.to, "to", NAME_LENGTH)
            run.app.extensions["wanted_peers"].note(seat, to, message.type)
        error.extra |= message.address
        raise


@described.event(
    message=SendBroadcast,
    answer=signal_responses.BroadcastAnswered,
    errors=(
        errors.NotJoined,
        errors.SignalTooLarge,
        errors.BroadcastsNotKept,
        errors.RoomNotFound,
        errors.RoomStorageFull,
        errors.ServerStorageFull,
        errors.DatabaseFull,
    ),
    heard=("broadcast",),
)
def on_broadcast(run: Runtime, sid: str, data: Any) -> Body:
    """Send an application's message to everybody else in the sender's room."""
    message = _object(data)
    is_kept = message.get("keep", False)
    if not isinstance(is_kept, bool):
        raise InvalidField("keep", "must be true or false.")
    event = _text(message, "event", _MAX_TYPE_LENGTH, required=True, stored=is_kept)
    seat = _seat(run, sid)
    _check_data(message, run.settings.max_signal_bytes)
    if is_kept:
        text = json_codec.dumps(message["data"])
        said = Said(event, text, peer_id=seat.peer_id, session=sid)
        return {"status": run.relay.reach, "event": event, "id": keep(run, seat.room_name, said)}
    happenings.broadcast(run, seat, event, message["data"])
    body = {**_stamp(seat, sid), "event": event, "data": message["data"]}
    run.socketio.server.emit("broadcast", body, to=channel(seat.room_name), skip_sid=sid)
    return {"status": run.relay.reach, "event": event}


def keep(run: Runtime, room_name: str, said: Said) -> int:
    """Keep a broadcast and tell it, and return its id; raises what `KeptBroadcasts.keep` does."""
    if run.limits.is_full:
        raise DatabaseFull
    with run.app.app_context(), run.announcer.in_order(room_name):
        with database.writing() as session:
            kept = run.kept_broadcasts.keep(session, room_name, said, run.quotas)
            happenings.kept(run, session, room_name, kept)
        run.kept_broadcasts.tell(room_name, kept)
    return kept.number


def parse_signal(data: object, max_bytes: int) -> Signal:
    """Return the signal in an event; raises `InvalidJson`, `InvalidField` or `SignalTooLarge`."""
    signal = _parse_address(data)
    return signal._replace(size=_check_data(_object(data), max_bytes))


def _parse_address(data: object) -> Signal:
    """Return whom a signal is for, without a look at its data; raises as `parse_signal` does."""
    message = _object(data)
    to = message.get("to")
    if not isinstance(to, str):
        raise InvalidField("to", "is required: the peer_id of who is to get the signal.")
    if len(to) > NAME_LENGTH * names.MOST_COMPOSED:
        raise InvalidField("to", f"must have at most {NAME_LENGTH} characters.")
    json_values.check_text(to, "to", stored=True)
    return Signal(
        to,
        _text(message, "to_session", _MAX_SESSION_LENGTH),
        _text(message, "type", _MAX_TYPE_LENGTH),
        message.get("data"),
        size=0,
    )


def _seat(run: Runtime, sid: str) -> Seat:
    seat = run.switchboard.seat(sid)
    if seat is None:
        raise NotJoined
    return seat


def _stamp(seat: Seat, sid: str) -> Body:
    """Return who sends: never what the sender says, but what the server knows."""
    return {"from": seat.peer_id, "from_session": sid, "room_name": seat.room_name}


def _object(data: object) -> Body:
    if not isinstance(data, dict):
        raise InvalidJson('The message must be one JSON object, such as {"to": "…", "data": …}.')
    return data


def _text(
    message: Body, name: str, max_length: int, *, required: bool = False, stored: bool = False
) -> Any:
    """Return a short string of a message, or None; raises `InvalidField`."""
    value = message.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= max_length:
        raise InvalidField(name, f"must be a string of 1 to {max_length} characters.")
    json_values.check_text(value, name, stored=stored)
    return value


def _check_data(message: Body, max_bytes: int) -> int:
    """Return the size of a message's data; raises `InvalidField` or `SignalTooLarge`."""
    if "data" not in message:
        raise InvalidField("data", "is required; it may be any JSON, null included.")
    return check_data(message["data"], max_bytes)
