"""The admin's page: rooms and the people in them, what can be done about them, how the server is.

It does nothing itself. Its buttons ask the routes of the API with the visitor's own token, so that
whoever may not do something there may not do it here.
"""

from __future__ import annotations

import resource
import sys
import time
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from presence.domain.outbox import standings
from presence.domain.peers import workers
from presence.domain.permissions import bans, room_patterns
from presence.domain.permissions.tokens import ADMIN, GRANTS
from presence.domain.rooms import census, overview, rooms
from presence.domain.values import clock
from presence.errors import InvalidField, RoomNotFound
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.admission.security_headers import protect_page
from presence.transport.backend.sending import key_of
from presence.transport.process.runtime import runtime
from presence.transport.wire import messages
from presence.transport.wire.messages import RoomAddress
from presence.transport.wire.needs import needs, public

bp = Blueprint("admin_page", __name__, url_prefix="/admin")
bp.after_request(protect_page)

ROOMS_PER_PAGE = 50
MOST_PEOPLE = 500

_STARTED = time.monotonic()
_EVERY_ROOM = room_patterns.parse("*")
# The units of ru_maxrss: bytes on macOS, kilobytes elsewhere.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@bp.get("")
@public
def admin_page() -> Response:
    """Show the page, which has nothing in it until a token is shown, where the server is locked."""
    grantable = [grant for grant in GRANTS if grant != ADMIN]
    page = render_template("admin.html", room_name=_room_name(), grantable=grantable, **_query())
    return make_response(page)


@bp.get("/live")
@needs(ADMIN)
def live() -> str:
    """Return what an admin's page shows: rooms, the people of one, and how the server is."""
    query = _query()
    name = _room_name()
    run = runtime()
    with database.reading() as session:
        only = request_access.visible_condition(session)
        page = request.args.get("page", 1, type=int)
        shown = overview.page_of_rooms(session, query["search"], page, ROOMS_PER_PAGE, only)
        closed = bans.closed_among(session, [room.name for room in shown.rooms])
        people = _people(session, name) if name is not None else None
        server = _server(session) if _is_for_every_room() else None
    return render_template(
        "admin_live.html",
        shown=shown,
        closed=closed,
        people=people,
        server=server,
        is_locked=run.access.is_locked,
        room_name=name,
        **query,
    )


def _query() -> dict[str, Any]:
    return {"search": request.args.get("search", "").strip()}


def _room_name() -> str | None:
    """Return the room whose people are wanted, if it is one that there can be."""
    name = request.args.get("room", "")
    try:
        return messages.parse(RoomAddress, {"room_name": name}).room_name if name else None
    except InvalidField:
        return None


def _people(session: Session, name: str) -> dict[str, Any] | None:
    """Return the people of a room, and who is banned from it; raises what the token may not see."""
    request_access.require(ADMIN, name)
    try:
        view = rooms.view(session, name)
    except RoomNotFound:
        return None
    banned = {bar.peer_id: bar for bar in bans.of_room(session, name) if bar.peer_id is not None}
    peers = sorted(view.peers, key=lambda peer: (not peer.is_active, peer.username.lower()))
    known = {peer.peer_id for peer in peers}
    return {
        "peers": peers[:MOST_PEOPLE],
        "more": max(0, len(peers) - MOST_PEOPLE),
        "banned": banned,
        "strangers": [bar for peer_id, bar in banned.items() if peer_id not in known],
    }


def _is_for_every_room() -> bool:
    """Tell whether the reader is an admin of the whole server, not of some rooms."""
    grants = request_access.caller()
    return grants is None or grants.room.covers(_EVERY_ROOM)


def _server(session: Session) -> dict[str, Any]:
    """Return how the server is: of this process, what its database counts, and of its webhooks."""
    run = runtime()
    connections = list(run.socketio.server.eio.sockets.values())
    websockets = sum(1 for connection in connections if connection.upgraded)
    hooks = [key_of(url) for url in run.settings.hooks]
    counters = run.counters
    refused = {
        f"{event}: {outcome}": count
        for (event, outcome), count in counters.events.items()
        if outcome != "ok"
    }
    return {
        "counted": census.take(session),
        "worker": run.worker_id,
        "workers": sorted(workers.living(session)),
        "uptime": timedelta(seconds=int(time.monotonic() - _STARTED)),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT,
        "websockets": websockets,
        "polling": len(connections) - websockets,
        "queued": sum(connection.queue.size for connection in connections),
        "refused": sorted(refused.items(), key=lambda item: -item[1])[:6],
        "hooks": standings.standings(session, hooks),
        "now": clock.now(),
    }
