"""Who may do what on a locked server: what each route and event needs, and the asking for it.

Every route and every event declares its `Need`; one that does not is refused when the server is
locked. An open server asks nobody. Tokens are read in one place, `Access.read`; what is refused
there is a failed attempt to get in.
"""

from __future__ import annotations

import functools
import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app, g, request
from socketio.exceptions import ConnectionRefusedError as Refused
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from presence.config import Settings
from presence.domain.permissions import bans, tokens
from presence.domain.permissions.tokens import Grants, KeyRing
from presence.errors import (
    Banned,
    LinkRefused,
    NoAdmins,
    NotGranted,
    PresenceError,
    TokenExpired,
    TokenRefused,
    TokenRequired,
    TooManyFailedTokens,
    WrongPeer,
)
from presence.storage import database
from presence.storage.models import Room
from presence.transport.admission.client_addresses import address_of
from presence.transport.wire import messages
from presence.transport.wire.file_urls import links
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.events.dispatch import Handler
    from presence.transport.process.runtime import Runtime

View = TypeVar("View", bound=Callable[..., Any])

# How late, at most, a connection ends whose token has expired.
_EXPIRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Need:
    """What a route or an event needs of a token.

    `grant` is None where it needs no token at all. With `acts` the peer that the call names is the
    one who acts, and must be the token's own. An event that names a room besides the one that the
    socket has joined says so with `names_room`. With `locked_only` a route does nothing in open
    mode; with `by_link` a signed address does instead of a token.
    """

    grant: str | None
    acts: bool = False
    names_room: bool = False
    locked_only: bool = False
    by_link: bool = False


PUBLIC = Need(None)


def needs(
    grant: str, *, acts: bool = False, locked_only: bool = False, by_link: bool = False
) -> Callable[[View], View]:
    """Declare what a route needs; the room and peer in its address are checked with it.

    A route that is told of them in another way calls `require` besides.
    """
    return _declare(Need(grant, acts, locked_only=locked_only, by_link=by_link))


def public(view: View) -> View:
    """Declare that a route may be called by anybody, because it tells and does nothing."""
    return _declare(PUBLIC)(view)


def need_of(app: Flask, endpoint: str) -> Need | None:
    """Return what the route of an endpoint declared, or None if it forgot to."""
    if endpoint == "static":
        return PUBLIC
    need: Need | None = getattr(app.view_functions[endpoint], "presence_need", None)
    return need


class Access:
    """What this process knows of its callers: the keys of tokens, and each socket's grants."""

    def __init__(self, settings: Settings) -> None:
        self.is_locked = settings.is_locked
        by_kid = settings.keys_by_kid
        self.keys = KeyRing(settings.secret_key, by_kid, next(iter(by_kid), None))
        self.event_needs: dict[str, Need] = {}
        self._sockets: dict[str, Grants] = {}
        self._guard = threading.Lock()
        self._ends: list[tuple[float, str]] = []
        self._watching = False

    def read(self, run: Runtime, token: object, environ: Body) -> Grants:
        """Return what the token of a request allows; a forged one counts against its address.

        Raises `TokenRequired`, `TokenExpired`, `TokenRefused` or `TooManyFailedTokens`.
        """
        try:
            return tokens.verify(self.keys, token)
        except TokenRefused:
            run.rates.count(TooManyFailedTokens, address_of(environ))
            raise

    def of(self, sid: str) -> Grants:
        """Return what a socket's token allows; raises `TokenExpired` if its time is over."""
        grants = self._sockets.get(sid)
        if grants is None:
            raise TokenExpired
        return grants

    def is_barred(self, sid: str, peer_id: str) -> bool:
        """Tell whether what is closed to a banned peer is closed to a socket; never to an admin."""
        grants = self._sockets.get(sid)
        return grants is not None and grants.peer_id == peer_id and not grants.is_admin

    def admit(self, run: Runtime, sid: str, grants: Grants) -> None:
        """Keep a socket's grants until it is gone or its token expires."""
        with self._guard:
            self._sockets[sid] = grants
            heapq.heappush(self._ends, (grants.expires_at, sid))
            if self._watching:
                return
            self._watching = True
        run.socketio.start_background_task(self._watch, run)

    def forget(self, sid: str) -> None:
        """Forget a socket that is gone."""
        self._sockets.pop(sid, None)

    def _watch(self, run: Runtime) -> None:
        """End connections whose token expires, for as long as there are any."""
        while True:
            run.socketio.sleep(_EXPIRY_SECONDS)
            for sid in self._expired():
                _end(run, sid)
            with self._guard:
                if not self._ends:
                    self._watching = False
                    return

    def _expired(self) -> list[str]:
        now = time.time()
        expired = []
        with self._guard:
            while self._ends and (self._ends[0][0] <= now or self._ends[0][1] not in self._sockets):
                _, sid = heapq.heappop(self._ends)
                if self._sockets.pop(sid, None) is not None:
                    expired.append(sid)
        return expired


def init_app(app: Flask, run: Runtime) -> None:
    """Ask every request and every connection for its token, if the server is locked."""
    app.before_request(lambda: _check_request(run))
    if run.access.is_locked:
        run.socketio.server.on("connect", lambda *args: _check_connect(run, *args))


def refusals(need: Need) -> set[type[PresenceError]]:
    """Return the conditions in which a caller does not get what needs this."""
    if need.grant is None:
        return set()
    found: set[type[PresenceError]] = {
        TokenRequired,
        TokenRefused,
        TokenExpired,
        TooManyFailedTokens,
        NotGranted,
    }
    if need.acts:
        found.add(WrongPeer)
    if need.grant != tokens.ADMIN:
        found.add(Banned)
    if need.locked_only:
        found.add(NoAdmins)
    if need.by_link:
        found.add(LinkRefused)
    return found


def guarded(run: Runtime, need: Need, handler: Handler) -> Handler:
    """Return an event's handler with the check before it; as it is where nothing is checked."""
    if not run.access.is_locked or need.grant is None:
        return handler

    @functools.wraps(handler)
    def check_first(run: Runtime, sid: str, data: Any) -> Body:
        grants = run.access.of(sid)
        grants.check(str(need.grant))
        if need.acts:
            address = messages.parse(messages.PeerAddress, data)
            grants.check(str(need.grant), address.room_name, address.peer_id)
        elif need.names_room and isinstance(data, dict) and data.get("room_name") is not None:
            room_name = messages.parse(messages.RoomAddress, data).room_name
            _check_room(grants, str(need.grant), room_name)
        return handler(run, sid, data)

    return check_first


def require(grant: str, room_name: str, peer_id: str | None = None) -> None:
    """Raise unless the current request may do this in a room, as a peer if one is given.

    Raises `NotGranted`, `WrongPeer` or `Banned`. Says nothing where the server is open.
    """
    grants = caller()
    if grants is not None:
        _check_room(grants, grant, room_name, peer_id)


def check_place(run: Runtime, sid: str, room_name: str, peer_id: str) -> None:
    """Raise unless a socket's token lets it join a room as a peer."""
    if run.access.is_locked:
        run.access.of(sid).check(tokens.JOIN, room_name, peer_id)


def check_watching(run: Runtime, sid: str, room_name: str) -> None:
    """Raise unless a socket's token lets it hear of a room that it has not joined."""
    if run.access.is_locked:
        _check_room(run.access.of(sid), tokens.LIST, room_name)


def visible_rooms(session: Session) -> Callable[[str], bool]:
    """Return what tells by a room's name whether the current request may know of it."""
    grants = caller()
    if grants is None:
        return lambda _name: True
    shut = bans.rooms_shut_to(session, grants.peer_id) if not grants.is_admin else set()
    return lambda name: grants.room.matches(name) and name not in shut


def visible_condition(session: Session) -> ColumnElement[bool] | None:
    """Return what `visible_rooms` tells, as a condition on `Room`; None for every room."""
    grants = caller()
    if grants is None:
        return None
    condition = database.matches(session, Room.name, grants.room.parts)
    if not grants.is_admin:
        condition &= Room.name.not_in(bans.rooms_shut_to(session, grants.peer_id))
    return condition


def caller() -> Grants | None:
    """Return what the current request's token allows; None where the server is open."""
    grants: Grants | None = g.get("grants")
    return grants


def _declare(need: Need) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.presence_need = need  # type: ignore[attr-defined]
        return view

    return mark


def _check_request(run: Runtime) -> None:
    """Refuse a request whose token does not allow what its route needs."""
    # A browser asks with OPTIONS before it sends a token; without an endpoint nothing happens.
    if request.endpoint is None or request.method == "OPTIONS":
        return
    need = need_of(current_app, request.endpoint)
    if not run.access.is_locked:
        if need is not None and need.locked_only:
            raise NoAdmins
        return
    if need is None:
        raise NotGranted("", "Nobody has said what it needs.")
    if need.grant is None:
        return
    if need.by_link and "Authorization" not in request.headers and "signature" in request.args:
        query = request.args
        links().check(
            (request.view_args or {})["filename"], query.get("expires", ""), query["signature"]
        )
        return
    grants = g.grants = run.access.read(run, bearer(), request.environ)
    grants.check(need.grant)
    named = {**request.args.to_dict(), **(request.view_args or {})}
    if named.get("room_name") is None:
        return
    room_name = messages.parse(messages.RoomAddress, named).room_name
    peer_id = None
    if need.acts and named.get("peer_id") is not None:
        peer_id = messages.parse(messages.PeerAddress, named).peer_id
    _check_room(grants, need.grant, room_name, peer_id)


def bearer() -> str | None:
    """Return the token that the current request carries, if any (RFC 6750, section 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _check_room(grants: Grants, grant: str, room_name: str, peer_id: str | None = None) -> None:
    """Raise unless a token allows something in a room, from which its peer is not banned."""
    grants.check(grant, room_name, peer_id)
    if not grants.is_admin:
        with database.reading() as session:
            bans.check(session, room_name, grants.peer_id)


def _check_connect(run: Runtime, sid: str, environ: Body, auth: Any = None) -> None:
    """Let a connection in whose token is good; the client gets what is wrong with another."""
    token = auth.get("token") if isinstance(auth, dict) else None
    try:
        run.access.admit(run, sid, run.access.read(run, token, environ))
    except PresenceError as error:
        raise Refused(error.detail, error.body()) from None


def _end(run: Runtime, sid: str) -> None:
    """End a connection whose token has expired, as a lost one, so that its client comes back.

    With a fresh token it gets its place back; with the old one it is refused, and told why.
    """
    run.socketio.server.emit("token_expired", TokenExpired().body(), to=sid)
    manager = run.socketio.server.manager
    connection = run.socketio.server.eio.sockets.get(manager.eio_sid_from_sid(sid, "/"))
    if connection is not None:
        # Without a goodbye, after which python-socketio's client would stay away.
        connection.close(wait=False, abort=True)
