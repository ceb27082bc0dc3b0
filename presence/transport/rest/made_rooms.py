"""The REST route by which a backend makes a room, or changes one that there is."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from flask import Blueprint, request

from presence import errors
from presence.domain.peers import lobbies, made_rooms, passwords
from presence.domain.peers.made_rooms import MadeRoom
from presence.domain.peers.moderation import CLOSED
from presence.domain.permissions.tokens import ADMIN
from presence.errors import InvalidField, NoAdmins, PresenceError
from presence.setting_values import seconds_of
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.admission.client_addresses import address_of
from presence.transport.backend import once
from presence.transport.live.room_makers import maker_of
from presence.transport.process.hinting import json_body
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.rest.moderation import admit_one, see_out
from presence.transport.wire import access_responses, described, messages, serializers
from presence.transport.wire.backend_messages import PutRoom
from presence.transport.wire.messages import RoomAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("made_rooms_api", __name__, url_prefix="/api/webrtc/rooms/<room_name>")


@bp.put("")
@described.route(
    group="rooms",
    answer=access_responses.RoomMade,
    body=PutRoom,
    also=201,
    errors=(
        errors.TooManyRooms,
        errors.TooManyRoomsMade,
        errors.DatabaseFull,
        errors.NoAdmins,
        errors.PasswordWanted,
        errors.WrongPassword,
        errors.TooManyWrongPasswords,
        errors.TooManyGuesses,
        errors.ShuttingDown,
    ),
)
@needs(ADMIN)
def put_room(room_name: str) -> tuple[Body, int]:
    """Make a room before anybody joins, or change one; it stays until it is removed."""
    run = runtime()
    name = messages.parse(RoomAddress, {"room_name": room_name}).room_name
    message = messages.parse(PutRoom, json_body())
    _check_bounds(run, message)
    if (message.closed is not None or message.lobby) and not run.access.is_locked:
        raise NoAdmins
    run.refuse_when_stopping()
    terms = message.model_dump(include={"max_peers", "keep_inactive"}, exclude_unset=True)
    if "password" in message.model_fields_set:
        new = message.password
        terms["password_hash"] = None if new is None else run.passwords.hashed(new)
    if "lobby" in message.model_fields_set:
        terms["has_lobby"] = bool(message.lobby)
    try:
        made = run.passwords.passing(
            message.current_password,
            address_of(request.environ),
            partial(_put, run, name, terms, message.closed),
            passwords.UNASKED if run.access.is_locked else None,
        )
    except errors.PasswordWanted:
        raise errors.PasswordWanted(name, "current_password") from None
    run.announcer.mark(name)
    if made.has_lobby:
        run.watchers.shut_out(name, None)
    elif "has_lobby" in terms:
        _admit_all(run, name)
    return _body(made), _status(made)


def _admit_all(run: Runtime, name: str) -> None:
    """Let everybody in who waits in front of a room that has no lobby any more, as places go."""
    with database.reading() as session:
        people = lobbies.waiting(session, name).get(name, [])
    for one in people:
        # Who is not let in by that goes on waiting, for whoever admits it.
        with suppress(PresenceError):
            admit_one(run, name, one.peer_id)


def _put(
    run: Runtime, name: str, terms: dict[str, Any], closed: bool | None, passed: str | None
) -> MadeRoom:
    with run.announcer.in_order(name):
        with once.writing() as session:
            made = made_rooms.put(
                session,
                name,
                terms,
                closed=closed,
                limits=run.limits,
                maker=maker_of(run.settings, request_access.caller(), request.environ),
                passed=passed,
            )
            once.answered(session, _body(made), _status(made))
        see_out(run, made.left, CLOSED)
    return made


def _check_bounds(run: Runtime, message: PutRoom) -> None:
    """Raise `InvalidField` for what is more than the server lets any room have."""
    most = run.settings.max_peers
    if message.max_peers is not None and message.max_peers > most:
        raise InvalidField("max_peers", f"must be at most {most}, which is PRESENCE_MAX_PEERS.")
    longest = seconds_of(run.settings.keep_inactive_peers)
    if message.keep_inactive is not None and longest and message.keep_inactive > longest:
        raise InvalidField(
            "keep_inactive",
            f"must be at most {longest:g} seconds, which is PRESENCE_KEEP_INACTIVE_PEERS.",
        )


def _status(made: MadeRoom) -> int:
    return 201 if made.is_new else 200


def _body(made: MadeRoom) -> Body:
    return {
        "success": True,
        "room_name": made.name,
        "max_peers": made.max_peers,
        "keep_inactive": made.keep_inactive,
        "closed": made.is_closed,
        "has_password": made.has_password,
        "lobby": made.has_lobby,
        "created_at": serializers.timestamp(made.created_at),
        "version": made.version,
        "made": made.is_new,
        "put_out": [item.peer_id for item in made.left],
    }
