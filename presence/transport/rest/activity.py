"""The REST route of what happened in a room lately, and how many were there."""

from __future__ import annotations

from flask import Blueprint, request

from presence import errors
from presence.domain.permissions.tokens import LIST
from presence.domain.rooms import activity, occupancy, rooms
from presence.errors import InvalidField
from presence.storage import database
from presence.transport.process.runtime import runtime
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import ActivityQuery, RoomAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("activity_api", __name__, url_prefix="/api/webrtc/rooms")


@bp.get("/<room_name>/activity")
@described.route(
    group="rooms",
    answer=room_responses.Activity,
    query=ActivityQuery,
    errors=(errors.RoomNotFound,),
)
@needs(LIST)
def get_activity(room_name: str) -> Body:
    """Return a room's newest entries, newest first, and its occupancy over the last hour."""
    name = messages.parse(RoomAddress, {"room_name": room_name}).room_name
    limit = _limit()
    runtime().diary.catch_up()
    with database.reading() as session:
        room_id, version = rooms.identify(session, name)
        entries = activity.recent(session, room_id, limit)
        peaks = occupancy.last_hour(session, [room_id])[room_id]
    return {
        "room_name": name,
        "version": version,
        "activity": [_entry(entry) for entry in entries],
        "occupancy": {"minutes": occupancy.MINUTES, "peaks": peaks},
    }


def _entry(entry: activity.Entry) -> Body:
    return {
        "at": serializers.timestamp(entry.at),
        "kind": entry.kind,
        "peer_id": entry.peer_id,
        "username": entry.username,
        "times": entry.times,
        "detail": entry.detail,
    }


def _limit() -> int:
    """Return how many entries are asked for; raises `InvalidField`."""
    text = request.args.get("limit", "50")
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= limit <= activity.KEPT:
        raise InvalidField("limit", f"must be a whole number from 1 to {activity.KEPT}.")
    return limit
