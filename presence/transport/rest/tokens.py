"""The REST routes by which a backend that holds an admin token makes tokens and takes them back."""

from __future__ import annotations

import secrets
import time

from flask import Blueprint, Response, jsonify

from presence.domain.permissions import revocations, room_patterns, tokens
from presence.domain.permissions.room_patterns import RoomPattern, RoomPatterns
from presence.domain.permissions.tokens import ADMIN
from presence.errors import InvalidField, NoAdmins
from presence.transport.admission import request_access
from presence.transport.backend import once
from presence.transport.process.hinting import json_body
from presence.transport.process.runtime import runtime
from presence.transport.wire import access_responses, described, messages, serializers
from presence.transport.wire.backend_messages import MintToken, RevokeTokens
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("tokens_api", __name__, url_prefix="/api/webrtc/tokens")


@bp.post("")
@described.route(group="access", answer=access_responses.Token, body=MintToken, uses_storage=False)
@needs(ADMIN, locked_only=True)
def mint() -> Response:
    """Make a token, for no more rooms and no longer than the one it is asked with."""
    holder = request_access.caller()
    if holder is None:
        raise NoAdmins
    message = messages.parse(MintToken, json_body())
    expires_at = int(time.time()) + message.ttl
    holder.check_mint(room_patterns.parse(message.room), expires_at)
    keys = runtime().access.keys
    jti = secrets.token_urlsafe(12)
    token = tokens.mint(
        keys, message.peer_id, message.room, message.grants, expires_at=expires_at, jti=jti
    )
    response = jsonify(
        success=True,
        token=token,
        peer_id=message.peer_id,
        room=message.room,
        grants=message.grants,
        expires_at=serializers.unix_time(expires_at),
        jti=jti,
    )
    response.cache_control.no_store = True
    return response


@bp.post("/revoke")
@described.route(group="access", answer=access_responses.Revoked, body=RevokeTokens)
@needs(ADMIN, locked_only=True)
def revoke() -> Body:
    """Take tokens back that are for no more rooms than the one it is asked with."""
    holder, run = request_access.caller(), runtime()
    if holder is None:
        raise NoAdmins
    message = messages.parse(RevokeTokens, json_body())
    rooms: RoomPattern | RoomPatterns = holder.room
    if message.room is not None:
        rooms = room_patterns.parse(message.room)
        holder.check_covers(rooms)
    elif message.jti is None and message.peer_id is None:
        raise InvalidField("jti", "or peer_id or room must say which tokens are meant.")
    with once.writing() as session:
        revoked = revocations.revoke(
            session, rooms, jti=message.jti, peer_id=message.peer_id, seconds=message.seconds
        )
        body = {"success": True, **serializers.revoked(revoked)}
        once.answered(session, body)
    run.access.revoked.look()
    return body
