"""The admin's page: rooms and the people in them, what can be done about them, how the server is.

It does nothing itself. Its buttons ask the routes of the API with the visitor's own token, so that
whoever may not do something there may not do it here.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from presence.config import Settings
from presence.domain.outbox import standings
from presence.domain.peers import workers
from presence.domain.permissions import bans, room_patterns
from presence.domain.permissions.tokens import ADMIN, GRANTS
from presence.domain.rooms import census, overview, rooms
from presence.domain.values import clock
from presence.errors import InvalidField, RoomNotFound
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.security_headers import protect_page
from presence.transport.backend.sending import key_of
from presence.transport.engine.handshake_environ import PROGRAM
from presence.transport.pages.last_hour import last_hour
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire import messages
from presence.transport.wire.messages import RoomAddress
from presence.transport.wire.needs import needs, public

bp = Blueprint("admin_page", __name__, url_prefix="/admin")
bp.after_request(protect_page)

ROOMS_PER_PAGE = 50
MOST_PEOPLE = 500
MOST_CONNECTIONS = 50
# By what the people of a room can be sorted, in the words of its table.
PEOPLE_SORTS = ("person", "state", "joined", "files")

_STARTED = time.monotonic()
_EVERY_ROOM = room_patterns.parse("*")
# The units of ru_maxrss: bytes on macOS, kilobytes elsewhere.
_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")
# What a browser is by the names that it goes by: it has those of others too, further down.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
_BROWSERS["Version"] = "Safari"
_PRODUCT = re.compile(r"([A-Za-z]+)/(\d+)")
# What stands in addresses before the host: a name and a password, as a rule.
_CREDENTIALS = re.compile(r"(?<=//)[^/@]+(?=@)")
_HIDDEN = "•••"
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
        shown = overview.page_of_rooms(
            session, query["search"], page, ROOMS_PER_PAGE, only, sort=query["sort"]
        )
        closed = bans.closed_among(session, [room.name for room in shown.rooms])
        people = _people(session, name, query["sort"]) if name is not None else None
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
    sort = request.args.get("sort", "")
    known = sort.removeprefix("-") in (*overview.SORTS, *PEOPLE_SORTS)
    return {"search": request.args.get("search", "").strip(), "sort": sort if known else ""}


def _room_name() -> str | None:
    """Return the room whose people are wanted, if it is one that there can be."""
    name = request.args.get("room", "")
    try:
        return messages.parse(RoomAddress, {"room_name": name}).room_name if name else None
    except InvalidField:
        return None


def _people(session: Session, name: str, sort: str) -> dict[str, Any] | None:
    """Return the people of a room, and who is banned from it; raises what the token may not see."""
    request_access.require(ADMIN, name)
    try:
        view = rooms.view(session, name)
    except RoomNotFound:
        return None
    banned = {bar.peer_id: bar for bar in bans.of_room(session, name) if bar.peer_id is not None}
    peers = sorted(view.peers, key=lambda peer: (not peer.is_active, peer.username.lower()))
    by = {
        "person": lambda peer: peer.username.lower(),
        "state": lambda peer: (not peer.is_active, -peer.last_seen.timestamp()),
        "joined": lambda peer: peer.joined_at,
        "files": lambda peer: len(peer.files),
    }.get(sort.removeprefix("-"))
    if by is not None:
        peers.sort(key=by, reverse=sort.startswith("-"))
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
    hooks = [key_of(url) for url in run.settings.hooks]
    hour = last_hour()
    memory = _memory()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    return {
        "counted": census.take(session),
        "worker": run.worker_id,
        "leases": workers.leases(session),
        "lease": workers.LEASE.total_seconds(),
        "uptime": timedelta(seconds=int(time.monotonic() - _STARTED)),
        "memory": memory,
        # The system notes the most now and then, and may be behind.
        "most_memory": max(memory or 0, most),
        "stalls": hour.stalls(),
        "limits": hour.limits(),
        "plots": [
            ("Connected", "people", "at once", [*hour.series("people")[1:], float(hour.people())]),
            ("Messages", "messages", "a minute", hour.series("messages")),
            ("Latency", "latency", "ms", hour.series("latency")),
        ],
        "hooks": standings.standings(session, hooks),
        "settings": _changed_settings(run.settings),
        "now": clock.now(),
        **_connections(run),
    }


def _memory() -> int | None:
    """Return how many bytes this process holds now; None where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None


def _connections(run: Runtime) -> dict[str, Any]:
    """Return the connections of this process, those first for which most waits to be sent."""
    server = run.socketio.server
    seats = {
        server.manager.eio_sid_from_sid(sid, "/"): seat
        for sid, seat in run.switchboard.seats().items()
    }
    connections = run.sockets.connections()
    shown = sorted(connections, key=lambda one: (-one.queue.size, one.opened))[:MOST_CONNECTIONS]
    now = time.monotonic()
    rows = []
    for connection in shown:
        environ = server.environ.get(connection.sid, {})
        rows.append(
            {
                "id": connection.sid,
                "seat": seats.get(connection.sid),
                "transport": "WebSocket" if connection.upgraded else "polling",
                "address": address_of(environ) if environ else "",
                "client": _program(environ.get(PROGRAM, "")),
                "age": timedelta(seconds=int(now - connection.opened)),
                "queue": connection.queue.size,
            }
        )
    websockets = sum(1 for connection in connections if connection.upgraded)
    return {
        "connections": rows,
        "websockets": websockets,
        "polling": len(connections) - websockets,
        "queued": sum(connection.queue.size for connection in connections),
    }


def _program(agent: str) -> str:
    """Return in a word or two which program a client is."""
    products = {name.removeprefix("Headless"): at for name, at in _PRODUCT.findall(agent)}
    for name, called in _BROWSERS.items():
        if name in products and "Mozilla" in products:
            return f"{called} {products[name]}"
    return agent.split(" ", 1)[0][:40]


def _changed_settings(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings that are not as usual, without what is secret in them."""
    found = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value == item.default:
            continue
        shown = _HIDDEN if not item.repr else _CREDENTIALS.sub(_HIDDEN, str(value))
        found.append((str(item.metadata["variable"]), shown))
    return found
