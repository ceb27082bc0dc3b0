"""The REST route by which a backend that holds an admin token makes tokens for its users."""

from __future__ import annotations

import time

from flask import Blueprint, Response, jsonify

from presence.domain.permissions import room_patterns, tokens
from presence.domain.permissions.tokens import ADMIN
from presence.errors import NoAdmins
from presence.transport.admission import request_access
from presence.transport.process.runtime import runtime
from presence.transport.rest.rooms import json_body
from presence.transport.wire import access_responses, described, messages, serializers
from presence.transport.wire.access_messages import MintToken
from presence.transport.wire.needs import needs

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
    token = tokens.mint(keys, message.peer_id, message.room, message.grants, expires_at=expires_at)
    response = jsonify(
        success=True,
        token=token,
        peer_id=message.peer_id,
        room=message.room,
        grants=message.grants,
        expires_at=serializers.unix_time(expires_at),
    )
    response.cache_control.no_store = True
    return response
