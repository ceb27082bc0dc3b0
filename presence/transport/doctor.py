"""The doctor: a page that tries, from the visitor's own browser, everything a client needs."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template

from presence.transport import access
from presence.transport.headers import protect_page
from presence.transport.runtime import runtime

bp = Blueprint("doctor", __name__, url_prefix="/doctor")
bp.after_request(protect_page)

# The room in which the doctor tries things. It erases what it made, and the room stays empty.
ROOM = "doctor"
# More than the 1 MB to which nginx limits a request unless it is told otherwise.
UPLOAD_BYTES = 1_500_000


@bp.get("")
@access.public
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
@access.public
def elsewhere() -> Response:
    """Return the frame that calls the server as a page of another origin would.

    The doctor shows it in a sandbox, where it has an origin that is nobody's.
    """
    response = make_response(render_template("doctor_elsewhere.html", room_name=ROOM))
    return protect_page(response, frame_ancestors="'self'")
