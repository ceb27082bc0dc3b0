"""The REST route that tells a peer which STUN and TURN servers to use."""

from __future__ import annotations

import time

from flask import Blueprint, Response, jsonify, request

from presence import errors
from presence.domain.peers import peers
from presence.domain.permissions.ice import IceServers
from presence.domain.permissions.tokens import JOIN
from presence.errors import PeerInactive
from presence.setting_values import listed
from presence.storage import database
from presence.transport.process.runtime import runtime
from presence.transport.wire import described, messages, signal_responses
from presence.transport.wire.messages import PeerAddress
from presence.transport.wire.needs import needs

bp = Blueprint("ice_api", __name__, url_prefix="/api/webrtc")


@bp.get("/ice-servers")
@described.route(
    group="calls",
    answer=signal_responses.IceConfiguration,
    query=PeerAddress,
    errors=(errors.RoomNotFound, errors.PeerNotFound, errors.PeerInactive),
)
@needs(JOIN, acts=True)
def ice_servers() -> Response:
    """Return what ``new RTCPeerConnection()`` takes, for an active peer of a room.

    ``ttl`` is how many seconds its TURN credentials are good for, or null when there are none.
    """
    settings = runtime().settings
    address = messages.parse(PeerAddress, request.args.to_dict())
    with database.reading() as session:
        if not peers.is_active(session, address.room_name, address.peer_id):
            raise PeerInactive(
                f"Peer “{address.peer_id}” is not in the room now. Join it, then ask again.",
                room_name=address.room_name,
                peer_id=address.peer_id,
            )
    servers = IceServers(
        listed(settings.stun_urls),
        listed(settings.turn_urls),
        settings.turn_secret,
        settings.turn_ttl,
    )
    response = jsonify(
        iceServers=servers.configuration(address.peer_id, time.time()),
        ttl=settings.turn_ttl if servers.turn_urls else None,
    )
    # Nobody else may be handed these credentials, and nobody may get them again when they are old.
    response.cache_control.no_store = True
    return response
