"""Asking every request for its token, and what the one that is handled now may do."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app, g, request
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from presence.domain.peers import lobbies, rights
from presence.domain.permissions import bans
from presence.domain.permissions.tokens import LIST, Grants
from presence.errors import Banned, NoAdmins, NotAdmitted, NotGranted
from presence.storage import database
from presence.storage.models import Room
from presence.transport.admission.access import Access, check_anywhere, check_room
from presence.transport.wire import messages
from presence.transport.wire.file_urls import links
from presence.transport.wire.needs import need_of


def init_app(app: Flask, access: Access) -> None:
    """Refuse every request whose token does not allow what its route needs."""
    app.before_request(lambda: _check_request(access))


def require(grant: str, room_name: str, peer_id: str | None = None) -> None:
    """Raise unless the current request may do this in a room, as a peer if one is given.

    Raises `NotGranted`, `WrongPeer` or `Banned`. Says nothing where the server is open.
    """
    grants = caller()
    if grants is not None:
        check_room(grants, grant, room_name, peer_id)


def allows(grant: str, room_name: str) -> bool:
    """Tell whether the current request may do this in a room."""
    try:
        require(grant, room_name)
    except (NotGranted, Banned, NotAdmitted):
        return False
    return True


def visible_rooms(session: Session) -> Callable[[str], bool]:
    """Return what tells by a room's name whether the current request may know of it."""
    grants = caller()
    if grants is None:
        return lambda _name: True
    if grants.is_admin:
        return grants.room.matches
    given = {name: LIST in own for name, own in rights.everywhere(session, grants.peer_id).items()}
    given |= dict.fromkeys(_shut_to(session, grants), False)
    usual = LIST in grants.allowed
    return lambda name: grants.room.matches(name) and given.get(name, usual)


def visible_condition(session: Session) -> ColumnElement[bool] | None:
    """Return what `visible_rooms` tells, as a condition on `Room`; None for every room."""
    grants = caller()
    if grants is None:
        return None
    patterns = [pattern.parts for pattern in grants.room.patterns]
    condition = database.matches_any(session, Room.name, patterns)
    if grants.is_admin:
        return condition
    given = rights.everywhere(session, grants.peer_id)
    if LIST in grants.allowed:
        hidden = {name for name, own in given.items() if LIST not in own}
    else:
        hidden = set()
        condition &= Room.name.in_([name for name, own in given.items() if LIST in own])
    return condition & Room.name.not_in(hidden | _shut_to(session, grants))


def _shut_to(session: Session, grants: Grants) -> set[str]:
    """Return the names of the rooms of which a token's peer sees nothing, whatever it says."""
    shut = bans.rooms_shut_to(session, grants.peer_id)
    if not grants.enters:
        own = rights.everywhere(session, grants.peer_id)
        let_in = {name for name, given in own.items() if grants.within(given).enters}
        shut |= lobbies.shut_to(session, grants.peer_id) - let_in
    return shut


def caller() -> Grants | None:
    """Return what the current request's token allows; None where the server is open."""
    grants: Grants | None = g.get("grants")
    return grants


def bearer() -> str | None:
    """Return the token that the current request carries, if any (RFC 6750, section 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _check_request(access: Access) -> None:
    """Refuse a request whose token does not allow what its route needs."""
    # A browser asks with OPTIONS before it sends a token; without an endpoint nothing happens.
    if request.endpoint is None or request.method == "OPTIONS":
        return
    need = need_of(current_app, request.endpoint)
    if not access.is_locked:
        if need is not None and need.locked_only:
            raise NoAdmins
        return
    if need is None:
        raise NotGranted("", "Nobody has said what it needs.")
    if need.grant is None:
        if need.any_token:
            g.grants = access.read(bearer(), request.environ)
        return
    if need.by_link and "Authorization" not in request.headers and "signature" in request.args:
        query = request.args
        links().check(
            (request.view_args or {})["filename"], query.get("expires", ""), query["signature"]
        )
        return
    grants = g.grants = access.read(bearer(), request.environ)
    named = {**request.args.to_dict(), **(request.view_args or {})}
    if named.get("room_name") is None:
        check_anywhere(grants, need.grant)
        return
    room_name = messages.parse(messages.RoomAddress, named).room_name
    peer_id = None
    if need.acts and named.get("peer_id") is not None:
        peer_id = messages.parse(messages.PeerAddress, named).peer_id
    check_room(grants, need.grant, room_name, peer_id)
