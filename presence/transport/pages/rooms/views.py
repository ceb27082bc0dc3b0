"""The pages a person opens in a browser, and the fragments that HTMX swaps into them."""

from __future__ import annotations

import functools
from typing import Any

from flask import (
    Blueprint,
    Response,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import NotFound

from presence.config import VERSION
from presence.domain.permissions.tokens import JOIN, LIST
from presence.domain.rooms import activity, occupancy, overview
from presence.domain.rooms.overview import RoomPage, Totals
from presence.domain.rooms.rooms import PeerView, RoomView
from presence.domain.values import clock
from presence.errors import InvalidField, PresenceError
from presence.storage import database, maintenance
from presence.transport.admission import error_handlers, error_page, request_access
from presence.transport.admission.error_handlers import STATUS
from presence.transport.admission.security_headers import protect_page
from presence.transport.pages import text_filters
from presence.transport.pages.rooms import qr_codes, readings, room_parts
from presence.transport.process.runtime import runtime
from presence.transport.wire import messages
from presence.transport.wire.messages import RoomAddress
from presence.transport.wire.needs import needs, public

bp = Blueprint("pages", __name__)
text_filters.init_app(bp)

ROOMS_PER_PAGE = 24
# A room keeps every peer it ever had; a page shows so many of those who left.
SHOWN_INACTIVE = 60
# A page keeps the data of so many people up to date that somebody opened there.
MOST_OPENED = 20

bp.after_request(protect_page)


@bp.record_once
def set_up(state: BlueprintSetupState) -> None:
    """Leave out the lines that hold only a template's own words: a third of a large page."""
    state.app.jinja_env.trim_blocks = True
    state.app.jinja_env.lstrip_blocks = True


@bp.errorhandler(PresenceError)
def explain(error: PresenceError) -> Response:
    """Answer an error on a page with a page; to the page's own scripts, as to any program."""
    if "HX-Request" in request.headers:
        return make_response(error.body(), STATUS[type(error)], error_handlers.headers_of(error))
    page = render_template("problem.html", error=error)
    return make_response(page, STATUS[type(error)], error_handlers.headers_of(error))


@bp.app_errorhandler(404)
def explain_unknown_address(error: NotFound) -> Any:
    """Answer a person who follows a wrong link with a page, and everybody else with JSON."""
    if not error_page.is_wanted(request.environ):
        return error_handlers.answer_http(error)
    response = make_response(render_template("nothing_here.html"), 404)
    return protect_page(response)


@bp.app_context_processor
def page_context() -> dict[str, Any]:
    """Give every template the time, for the browser’s idea of “ago”, and what this server is."""
    return {
        "now": clock.now(),
        "locked": runtime().access.is_locked,
        "presence_version": VERSION,
        "maintenance": maintenance.known(),
    }


@bp.get("/")
@public
def overview_page() -> str:
    """Show every room, and the field that opens one."""
    return render_template("overview.html", **_rooms())


@bp.get("/fragments/rooms")
@needs(LIST)
def rooms_fragment() -> str:
    """Return the list of rooms alone."""
    return render_template("overview_rooms.html", **_rooms())


@bp.get("/rooms")
@public
def open_room() -> Response | str | tuple[str, int]:
    """Go to the room that was typed on the overview; a bad name is explained at its field."""
    typed = request.args.get("name", "")
    try:
        address = messages.parse(RoomAddress, {"room_name": typed.strip()})
    except InvalidField as error:
        problem = error.detail.replace("room_name", "The name", 1)
        return render_template("overview.html", **_rooms(), typed=typed, problem=problem), 422
    target = url_for("pages.room_page", room_name=address.room_name)
    return make_response(redirect(target, 303))


@bp.get("/rooms/<room_name>")
@public
def room_page(room_name: str) -> Response:
    """Show a room: who is and was there, their data and files, and the tools to take part."""
    seen = _room(room_name)
    have = room_parts.have_of(seen)
    run = runtime()
    page = render_template(
        "room.html",
        settings=run.settings,
        have=have,
        event_names=sorted(run.event_handlers),
        **seen,
    )
    # A PDF is shown in a frame, by the browser's own viewer.
    return protect_page(make_response(page), frame_src="'self'")


@bp.get("/rooms/<room_name>/invitation.svg")
@public
def invitation(room_name: str) -> Response:
    """Return the address of a room's page as a QR code, which tells nothing that is not in it.

    Raises `NotFound` for an address that is too long for one.
    """
    name = messages.parse(RoomAddress, {"room_name": room_name}).room_name
    picture = _qr_code(url_for("pages.room_page", room_name=name, _external=True))
    if picture is None:
        raise NotFound
    response = Response(picture, mimetype="image/svg+xml")
    response.cache_control.max_age = 86_400
    response.cache_control.private = True
    return response


@bp.get("/rooms/<room_name>/live")
@needs(LIST)
def room_fragment(room_name: str) -> str | tuple[str, int]:
    """Return what a room's page does not have yet of the parts that change by themselves."""
    before = room_parts.parse(request.args.get("have", ""))
    opened = set(request.args.getlist("open")[:MOST_OPENED])
    return room_parts.changes(_room(room_name, shared=True), before, opened) or ("", 204)


# Drawing a large one takes some hundredths of a second.
_qr_code = functools.lru_cache(maxsize=256)(qr_codes.svg)


def _rooms() -> dict[str, Any]:
    """Read what the overview shows."""
    search = request.args.get("search", "").strip()
    page = request.args.get("page", 1, type=int)
    sort = request.args.get("sort", "")
    # What is looked at, in the words of the address.
    chosen = {
        "search": search or None,
        "active": "1" if request.args.get("active") == "1" else None,
        "view": "table" if request.args.get("view") == "table" else None,
        "sort": sort if sort.removeprefix("-") in overview.SORTS else None,
    }
    seen = {"search": search, "chosen": chosen}
    if _is_veiled():
        nothing = {"hours": {}, "newest": {}, "totals": Totals(0, 0, 0)}
        return {"shown": RoomPage([], 0, 1, 1), **nothing, **seen}
    runtime().diary.catch_up()
    with database.reading() as session:
        only = request_access.visible_condition(session)
        shown = overview.page_of_rooms(
            session,
            search,
            page,
            ROOMS_PER_PAGE,
            only,
            sort=chosen["sort"] or "",
            active_only=chosen["active"] is not None,
        )
        totals = overview.totals(session, only)
        ids = [room.id for room in shown.rooms]
        hours = occupancy.last_hour(session, ids)
        newest = activity.newest(session, ids)
    return {"shown": shown, "hours": hours, "newest": newest, "totals": totals, **seen}


def _room(room_name: str, *, shared: bool = False) -> dict[str, Any]:
    """Read what a room's page shows; a room that nobody has joined yet is an empty one.

    What is `shared` was perhaps read for another page that asked since the last announcement.
    """
    name = messages.parse(RoomAddress, {"room_name": room_name}).room_name
    if _is_veiled():
        return _unknown_room(name)
    read = readings.shared(name) if shared else readings.read(name)
    view = read.view
    me = request.args.get("me", "")
    # Whoever looks is pinned to the top, and does not look for themselves among a hundred.
    active = sorted((peer for peer in view.peers if peer.is_active), key=lambda p: p.peer_id != me)
    inactive = sorted(
        (peer for peer in view.peers if not peer.is_active), key=_last_seen, reverse=True
    )
    return {
        "room": view,
        "exists": read.exists,
        "room_data": read.data.data,
        "room_data_by": _username(view, read.data.changed_by),
        "active": active,
        "inactive": inactive[:SHOWN_INACTIVE],
        "more_inactive": max(0, len(inactive) - SHOWN_INACTIVE),
        "files": read.files,
        "entries": read.entries,
        "hour": read.hour,
        "closing": read.closing,
        "file_count": sum(len(peer.files) for peer in view.peers),
        "room_files": _room_files(view),
        "may_join": request_access.allows(JOIN, name),
        "me": me,
        "server_url": _server_url(),
        "rendered": read.rendered,
    }


def _room_files(view: RoomView) -> frozenset[str] | None:
    """Return the stored names of a room's files where their addresses have to be signed."""
    if not runtime().access.is_locked:
        return None
    return frozenset(name for peer in view.peers for name in peer.files)


def _is_veiled() -> bool:
    """Tell whether the reader may not know anything: a browser opens a page without a token.

    The page's own scripts have one, and ask for what is to be filled in.
    """
    return runtime().access.is_locked and request_access.caller() is None


def _unknown_room(name: str) -> dict[str, Any]:
    """Return what the page of a room shows to somebody who may not know whether there is one."""
    return {
        "room": RoomView(name, runtime().settings.max_peers, clock.now(), 0),
        "exists": False,
        "veiled": True,
        "room_data": {},
        "room_data_by": None,
        "active": [],
        "inactive": [],
        "more_inactive": 0,
        "files": [],
        "entries": [],
        "hour": [0] * occupancy.MINUTES,
        "closing": None,
        "file_count": 0,
        "room_files": frozenset(),
        "may_join": True,
        "me": "",
        "server_url": _server_url(),
        "rendered": {},
    }


def _server_url() -> str:
    """Return the address of this server as the browser knows it."""
    return request.root_url.rstrip("/")


def _username(view: RoomView, peer_id: str | None) -> str | None:
    """Return the name of a peer of a room; None for a backend, and for whom was erased."""
    return next((peer.username for peer in view.peers if peer.peer_id == peer_id), None)


def _last_seen(peer: PeerView) -> Any:
    return peer.last_seen
