"""The doctor: a page that tries, from the visitor's own browser, everything a client needs."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, make_response, render_template

from presence.domain.permissions.tokens import UPDATE
from presence.domain.rooms import retention
from presence.errors import RoomNotFound
from presence.storage import database
from presence.transport.admission.security_headers import protect_page
from presence.transport.process.runtime import runtime
from presence.transport.wire.needs import needs, public
from presence.transport.wire.serializers import Body

bp = Blueprint("doctor", __name__, url_prefix="/doctor")

# The room in which the doctor tries things. It erases what it made there, and then the room.
ROOM = "doctor"
_WHEN_EMPTY = retention.Rules(empty_rooms=timedelta(0))
# More than the 1 MB to which nginx limits a request unless it is told otherwise.
UPLOAD_BYTES = 1_500_000


@bp.get("")
@public
def doctor_page() -> Response:
    """Show the checks, with what each means and how to put it right."""
    settings = runtime().settings
    page = render_template(
        "doctor.html",
        room_name=ROOM,
        settings=settings,
        upload_bytes=min(UPLOAD_BYTES, settings.max_upload_bytes),
    )
    response = make_response(page)
    return protect_page(response, frame_src="'self'")


@bp.get("/elsewhere")
@public
def elsewhere() -> Response:
    """Return the frame that calls the server as a page of another origin would.

    The doctor shows it in a sandbox, where it has an origin that is nobody's.
    """
    response = make_response(render_template("doctor_elsewhere.html", room_name=ROOM))
    return protect_page(response, frame_ancestors="'self'")


@bp.delete("/rooms/<room_name>")
@needs(UPDATE)
def remove_room(room_name: str) -> Body:
    """Remove the doctor's room, and no other, unless somebody is in it or kept there.

    Raises `RoomNotFound` for other rooms.
    """
    if room_name != ROOM:
        raise RoomNotFound(room_name)
    run = runtime()
    with run.announcer.in_order(ROOM):
        with database.writing() as session:
            version = retention.remove_room(session, _WHEN_EMPTY, ROOM)
        if version is not None:
            run.announcer.removed(ROOM, version)
            run.scrub = True
    return {"success": True, "removed": version is not None}
