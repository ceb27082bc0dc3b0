"""The REST routes by which a backend, which is no peer, speaks in a room in the server's name."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from presence import errors
from presence.domain.peers import peer_rows
from presence.domain.permissions.tokens import PUBLISH
from presence.domain.rooms.broadcasts import Said
from presence.domain.values import json_values
from presence.errors import InvalidField
from presence.storage import database
from presence.transport.backend import happenings, once
from presence.transport.cluster.relay import Signal, check_data
from presence.transport.live.channels import channel
from presence.transport.live.switchboard import SERVER, Sender
from presence.transport.process.hinting import json_body
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire import described, json_codec, messages, signal_responses
from presence.transport.wire.backend_messages import PublishBroadcast, PublishSignal
from presence.transport.wire.messages import PeerAddress, RoomAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("publishing_api", __name__, url_prefix="/api/webrtc/rooms/<room_name>")


@bp.post("/broadcast")
@described.route(
    group="publishing",
    answer=signal_responses.BroadcastPublished,
    body=PublishBroadcast,
    errors=(
        errors.RoomNotFound,
        errors.SignalTooLarge,
        errors.BroadcastsNotKept,
        errors.RoomStorageFull,
        errors.ServerStorageFull,
        errors.DatabaseFull,
    ),
)
@needs(PUBLISH)
def broadcast(room_name: str) -> Body:
    """Send a message to everybody in a room, or to some of them.

    It is heard as ``broadcast``, with ``from`` null and ``from_server`` true.
    """
    run = runtime()
    address = messages.parse(RoomAddress, {"room_name": room_name})
    message = messages.parse(PublishBroadcast, json_body())
    _check(message, run.settings.max_signal_bytes, message.event, stored=message.keep)
    if message.keep:
        return _keep(run, address.room_name, message)
    named = list(dict.fromkeys(message.to or []))
    with database.reading() as session:
        known = peer_rows.sockets_of(session, address.room_name, [*named, *message.except_])
    happenings.published(run, address.room_name, message.name, message.event, message.data)
    body = {**_stamp(message, address.room_name), "event": message.event, "data": message.data}
    left_out = [sid for peer_id in message.except_ for sid in known.get(peer_id, [])]
    emit = run.socketio.server.emit
    if message.to is None:
        emit("broadcast", body, to=channel(address.room_name), skip_sid=left_out)
    for peer_id in named:
        for sid in known.get(peer_id, []):
            if sid not in left_out:
                emit("broadcast", body, to=sid)
    answer = {
        "success": True,
        "status": run.relay.reach,
        "event": message.event,
        "room_name": address.room_name,
    }
    if message.to is None:
        return answer
    return {**answer, "to": [_addressed(peer_id, known) for peer_id in named]}


@bp.post("/peers/<peer_id>/signal")
@described.route(
    group="publishing",
    answer=signal_responses.SignalPublished,
    body=PublishSignal,
    errors=(
        errors.UnknownPeer,
        errors.PeerInactive,
        errors.PeerUnreachable,
        errors.SignalUnconfirmed,
        errors.SignalTooLarge,
    ),
)
@needs(PUBLISH)
def signal(room_name: str, peer_id: str) -> Body:
    """Hand a signal to a peer, or keep it while that peer reconnects.

    It is heard as ``signal``, with ``from`` null and ``from_server`` true.
    """
    run = runtime()
    address = messages.parse(PeerAddress, {"room_name": room_name, "peer_id": peer_id})
    message = messages.parse(PublishSignal, json_body())
    size = _check(message, run.settings.max_signal_bytes, message.type)
    to = Signal(address.peer_id, message.session, message.type, message.data, size)
    sender = Sender(SERVER, address.room_name)
    return {"success": True, **run.relay.deliver(sender, _stamp(message, sender.room_name), to)}


def _keep(run: Runtime, room_name: str, message: PublishBroadcast) -> Body:
    """Say something to everybody in a room, and keep it for those who are away."""
    if message.to is not None or message.except_:
        raise InvalidField("keep", "is for everybody: leave out “to” and “except”.")
    if run.limits.is_full:
        raise errors.DatabaseFull
    said = Said(message.event, json_codec.dumps(message.data), name=message.name)
    with run.announcer.in_order(room_name):
        with once.writing() as session:
            kept = run.kept_broadcasts.keep(session, room_name, said, run.quotas)
            happenings.kept(run, session, room_name, kept)
            answer = {
                "success": True,
                "status": run.relay.reach,
                "event": message.event,
                "room_name": room_name,
                "id": kept.number,
            }
            once.answered(session, answer)
        run.kept_broadcasts.tell(room_name, kept)
    return answer


def _check(
    message: PublishBroadcast | PublishSignal,
    max_bytes: int,
    kind: str | None,
    *,
    stored: bool = False,
) -> int:
    """Return the size of a message's data; raises `InvalidField` or `SignalTooLarge`."""
    if kind is not None:
        name = "event" if isinstance(message, PublishBroadcast) else "type"
        json_values.check_text(kind, name, stored=stored)
    return check_data(message.data, max_bytes)


def _stamp(message: PublishBroadcast | PublishSignal, room_name: str) -> Body:
    """Return who sends, as peers are told it."""
    stamp: dict[str, Any] = {"from": None, "from_session": None, "from_server": True}
    return {**stamp, "name": message.name, "room_name": room_name}


def _addressed(peer_id: str, known: dict[str, list[str]]) -> Body:
    if peer_id not in known:
        return {"peer_id": peer_id, "status": "unknown"}
    return {"peer_id": peer_id, "status": "delivered" if known[peer_id] else "inactive"}
