"""The Socket.IO events ``signal`` and ``broadcast``: what peers tell each other through the server.

They are handled without an app context, and need no query while both peers' sockets are this
process's own: relaying offers and candidates is the busiest thing a server does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from presence import errors
from presence.domain.permissions.tokens import SIGNAL
from presence.domain.values import json_values, names
from presence.errors import (
    InvalidField,
    InvalidJson,
    NotJoined,
    PeerInactive,
    PresenceError,
    SignalTooLarge,
)
from presence.storage.models import NAME_LENGTH
from presence.transport.events import dispatch
from presence.transport.live.channels import channel
from presence.transport.live.switchboard import Held, Outcome, Seat
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, signal_responses
from presence.transport.wire.messages import SendBroadcast, SendSignal
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

MAX_DEPTH = 64
_MAX_TYPE_LENGTH = 64
_MAX_SESSION_LENGTH = 64


class Signal(NamedTuple):
    """A signal as its sender gave it; ``size`` is that of ``data`` as compact JSON."""

    to: str
    to_session: str | None
    type: str | None
    data: Any
    size: int

    @property
    def address(self) -> Body:
        """Return what an answer repeats, so that its reader knows which signal it is about."""
        address = {"to": self.to, "type": self.type}
        return address if self.to_session is None else {**address, "to_session": self.to_session}


def init_app(run: Runtime) -> None:
    """Register the events on the runtime's Socket.IO server."""
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
        return _deliver(run, sid, seat, message._replace(size=size))
    except PresenceError as error:
        error.extra |= message.address
        raise


@described.event(
    message=SendBroadcast,
    answer=signal_responses.BroadcastAnswered,
    errors=(errors.NotJoined, errors.SignalTooLarge),
    heard=("broadcast",),
)
def on_broadcast(run: Runtime, sid: str, data: Any) -> Body:
    """Send an application's message to everybody else in the sender's room."""
    message = _object(data)
    event = _text(message, "event", _MAX_TYPE_LENGTH, required=True)
    seat = _seat(run, sid)
    _check_data(message, run.settings.max_signal_bytes)
    body = {**_stamp(seat, sid), "event": event, "data": message["data"]}
    run.socketio.server.emit("broadcast", body, to=channel(seat.room_name), skip_sid=sid)
    everywhere = run.cluster is None or run.cluster.up
    return {"status": "delivered" if everywhere else "partial", "event": event}


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


def _deliver(run: Runtime, sid: str, seat: Seat, message: Signal) -> Body:
    body = {**_stamp(seat, sid), "type": message.type, "data": message.data}
    to, outcome = _route(run, sid, message, body)
    if outcome.full:
        raise _no_more_can_wait(to)
    if outcome.held is not None:
        return _held(run, message, outcome.held)
    address = Seat(seat.room_name, to)
    target = outcome.sid
    if run.cluster is None and target is None:
        raise run.lookup.why_nobody(address, message.to_session)
    if run.cluster is not None:
        target = _reach(run, address, message, body, outcome.sid)
        if target is None:
            held = run.switchboard.hold(sid, to, body, message.size)
            if held is None:
                raise _no_more_can_wait(to)
            return _held(run, message, held)
    if outcome.sid is not None and target == outcome.sid:
        run.sockets.send(outcome.sid, "signal", body)
    return {**message.address, "status": "delivered", "to_session": target}


def _held(run: Runtime, message: Signal, held: Held) -> Body:
    return {
        **message.address,
        "status": "held",
        "signal_id": held.signal_id,
        "expires_in": run.settings.hold_seconds,
    }


def _reach(run: Runtime, seat: Seat, message: Signal, body: Body, here: str | None) -> str | None:
    """Return the socket elsewhere that has got a signal, or else the one `here` that is to get it.

    None for a peer that was lost elsewhere. Raises what `RemoteSignals.deliver` does.
    """
    assert run.cluster is not None
    if here is not None and (message.to_session or not run.cluster.signals.is_elsewhere(seat)):
        return here
    try:
        return run.cluster.signals.deliver(seat, message.to_session, body) or here
    except PresenceError:
        if here is None:
            raise
        return here


def _route(run: Runtime, sid: str, message: Signal, body: Body) -> tuple[str, Outcome]:
    """Route a signal; returns the id by which the peer is known too."""
    outcome = run.switchboard.route(sid, message.to, message.to_session, body, message.size)
    if outcome != Outcome():
        return message.to, outcome
    # The id may be written in another form of Unicode than the one it was joined with.
    to = names.normalise(message.to, "to", NAME_LENGTH)
    if to != message.to:
        outcome = run.switchboard.route(sid, to, message.to_session, body, message.size)
    return to, outcome


def _no_more_can_wait(peer_id: str) -> PeerInactive:
    return PeerInactive(
        f"Peer “{peer_id}” lost its connection, and no more signals can wait for it. Send again "
        "when it is active."
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


def _text(message: Body, name: str, max_length: int, *, required: bool = False) -> Any:
    """Return a short string of a message, or None; raises `InvalidField`."""
    value = message.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= max_length:
        raise InvalidField(name, f"must be a string of 1 to {max_length} characters.")
    json_values.check_text(value, name, stored=False)
    return value


def _check_data(message: Body, max_bytes: int) -> int:
    """Return the size of a message's data; raises `InvalidField` or `SignalTooLarge`."""
    if "data" not in message:
        raise InvalidField("data", "is required; it may be any JSON, null included.")
    size = json_values.size(message["data"], "data")
    if size > max_bytes:
        raise SignalTooLarge(size, max_bytes)
    json_values.check(message["data"], "data", max_depth=MAX_DEPTH, stored=False)
    return size
