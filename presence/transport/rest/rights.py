"""The REST route by which an admin changes what a peer may do in a room."""

from __future__ import annotations

from flask import Blueprint

from presence import errors
from presence.domain.peers import rights
from presence.domain.permissions.tokens import ADMIN
from presence.transport.admission import request_access
from presence.transport.backend import once
from presence.transport.process.hinting import json_body
from presence.transport.process.runtime import runtime
from presence.transport.wire import access_responses, described, messages, serializers
from presence.transport.wire.access_messages import SetGrants
from presence.transport.wire.messages import PeerAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("rights_api", __name__, url_prefix="/api/webrtc/rooms/<room_name>")


@bp.post("/peers/<peer_id>/grants")
@described.route(
    group="access",
    answer=access_responses.GrantsSet,
    body=SetGrants,
    errors=(errors.RoomNotFound, errors.PeerNotFound),
)
@needs(ADMIN, locked_only=True)
def set_grants(room_name: str, peer_id: str) -> Body:
    """Let a peer do more or less in a room than its token says, from now on."""
    run = runtime()
    address = messages.parse(PeerAddress, {"room_name": room_name, "peer_id": peer_id})
    message = messages.parse(SetGrants, json_body())
    for grant in message.grants or ():
        # Nobody gives what they have not.
        request_access.require(grant, address.room_name)
    with run.announcer.in_order(address.room_name):
        with once.writing() as session:
            regranted = rights.regrant(session, address.room_name, address.peer_id, message.grants)
            body = {"success": True, **serializers.regranted(regranted)}
            once.answered(session, body)
        run.announcer.note(regranted.change)
        run.live_rights.changed(regranted)
    if regranted.change is not None:
        run.announcer.mark_change(regranted.change, address.room_name)
    return body
