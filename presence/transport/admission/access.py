"""What this process knows of its callers: the keys of tokens, and what each socket's token allows.

Tokens are read in one place, `Access.read`; what is refused there is a failed attempt to get in.
"""

from __future__ import annotations

import functools
import heapq
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from presence.config import Settings
from presence.domain.peers import lobbies, recovery, rights
from presence.domain.permissions import bans, issuers, tokens
from presence.domain.permissions.issuers import Provider
from presence.domain.permissions.tokens import Grants, KeyRing
from presence.errors import (
    IssuerUnavailable,
    NotAdmitted,
    PresenceError,
    TokenExpired,
    TokenRefused,
    TokenRevoked,
    TooManyFailedTokens,
)
from presence.storage import database
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.rates import Rates
from presence.transport.engine.sockets import Sockets
from presence.transport.trust.revoked_tokens import RevokedTokens
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

# What one does in a room, or sees of it: where there is a lobby, after it.
_OF_THOSE_INSIDE = frozenset((tokens.UPDATE, tokens.ROOM, tokens.UPLOAD, tokens.LIST))
# How late, at most, a connection ends whose token has expired.
_EXPIRY_SECONDS = 1.0


class _Here(NamedTuple):
    """What a socket's token allows in the room it is in, as of a version of that."""

    room_name: str
    version: int
    grants: Grants


class Access:
    """The keys of tokens, and each socket's grants until it is gone or its token expires."""

    def __init__(self, settings: Settings, rates: Rates, sockets: Sockets) -> None:
        self.is_locked = settings.is_locked
        by_kid = settings.keys_by_kid
        self.keys = KeyRing(settings.secret_key, by_kid, next(iter(by_kid), None))
        self.revoked = RevokedTokens()
        self.revoked.listeners.append(self._end_revoked)
        self.providers: Sequence[Provider] = ()
        self.event_needs: dict[str, Need] = {}
        self._rates = rates
        self._sockets = sockets
        self._grants: dict[str, Grants] = {}
        # Of those whose rights an admin has changed in the room that they are in.
        self._here: dict[str, _Here] = {}
        self._guard = threading.Lock()
        self._ends: list[tuple[float, str]] = []
        self._watching = False

    def read(self, token: object, environ: Body) -> Grants:
        """Return what the token of a request allows; a forged one counts against its address.

        So does one whose key nobody knows here, for it may be made up. Raises `TokenRequired`,
        `TokenExpired`, `TokenRevoked`, `TokenRefused`, `IssuerUnavailable` or
        `TooManyFailedTokens`.
        """
        foreign = functools.partial(issuers.verify, self.providers) if self.providers else None
        try:
            grants = tokens.verify(self.keys, token, foreign)
        except (TokenRefused, IssuerUnavailable):
            self._rates.count(TooManyFailedTokens, address_of(environ))
            raise
        self.revoked.check(grants)
        return grants

    def of(self, sid: str) -> Grants:
        """Return what a socket's token allows; raises `TokenExpired` if its time is over."""
        grants = self._grants.get(sid)
        if grants is None:
            raise TokenExpired
        return grants

    def may_list(self, sid: str) -> bool:
        """Tell whether a socket's token lets it see lists, and open the files in them."""
        here = self._here.get(sid)
        grants = self._grants.get(sid) if here is None else here.grants
        return grants is not None and tokens.LIST in grants.allowed

    def is_barred(self, sid: str, peer_id: str | None) -> bool:
        """Tell whether what is closed to a banned peer is closed to a socket; never to an admin.

        None stands for everybody who has to wait in a lobby.
        """
        grants = self._grants.get(sid)
        if peer_id is None:
            return grants is not None and not grants.enters
        return grants is not None and grants.peer_id == peer_id and not grants.is_admin

    def admit(self, sid: str, grants: Grants) -> None:
        """Keep a socket's grants until it is gone or its token expires; raises `TokenRevoked`."""
        with self._guard:
            self._grants[sid] = grants
        try:
            # Again, where `_end_revoked` sees it: it may have been taken back since it was read.
            self.revoked.check(grants)
        except TokenRevoked:
            self.forget(sid)
            raise
        with self._guard:
            heapq.heappush(self._ends, (grants.expires_at, sid))
            if self._watching:
                return
            self._watching = True
        self._sockets.start_background_task(self._watch)

    def forget(self, sid: str) -> None:
        """Forget a socket that is gone."""
        self._grants.pop(sid, None)
        self._here.pop(sid, None)

    def here(self, sid: str) -> Grants:
        """Return what a socket may do in the room that it is in; raises as `of` does."""
        grants, here = self.of(sid), self._here.get(sid)
        return grants if here is None else here.grants

    def regrant(
        self, sid: str, room_name: str, version: int, given: frozenset[str] | None
    ) -> Grants | None:
        """Let a socket do in its room what an admin lets its peer do as of a version of that.

        Returns what it may do now, or None where that is not new.
        """
        own, before = self._grants.get(sid), self._here.get(sid)
        if own is None or (before is None and given is None):
            return None
        if before is not None and before.room_name == room_name:
            if before.version > version:
                return None
            was = before.grants
        else:
            was = own
        now = own.within(given)
        self._here[sid] = _Here(room_name, version, now)
        return now if now.allowed != was.allowed else None

    def regranted(self, room_name: str) -> list[str]:
        """Return the sockets of a room whose rights have ever been changed in it."""
        return [sid for sid, here in list(self._here.items()) if here.room_name == room_name]

    def _watch(self) -> None:
        """End connections whose token expires, for as long as there are any."""
        while True:
            self._sockets.sleep(_EXPIRY_SECONDS)
            for sid in self._expired():
                self._end(sid, "token_expired", TokenExpired())
            with self._guard:
                if not self._ends:
                    self._watching = False
                    return

    def _expired(self) -> list[str]:
        now = time.time()
        expired = []
        with self._guard:
            while self._ends and (self._ends[0][0] <= now or self._ends[0][1] not in self._grants):
                _, sid = heapq.heappop(self._ends)
                if self._grants.pop(sid, None) is not None:
                    expired.append(sid)
        return expired

    def _end_revoked(self) -> None:
        """End every connection whose token was taken back, and what gives its place back."""
        ended = [sid for sid, grants in list(self._grants.items()) if self._is_revoked(grants)]
        if not ended:
            return
        for sid in ended:
            self.forget(sid)
        try:
            with database.writing(upkeep=True) as session:
                for sid in ended:
                    recovery.withdraw(session, sid)
        finally:
            for sid in ended:
                self._end(sid, "token_revoked", TokenRevoked())

    def _is_revoked(self, grants: Grants) -> bool:
        try:
            self.revoked.check(grants)
        except TokenRevoked:
            return True
        return False

    def _end(self, sid: str, event: str, condition: PresenceError) -> None:
        """End a connection whose token is over, as a lost one, so that its client comes back.

        With a fresh token it gets its place back; with the old one it is refused, and told why.
        """
        self._sockets.server.emit(event, condition.body(), to=sid)
        # Without a goodbye, after which python-socketio's client would stay away.
        self._sockets.abort(sid)


def check_room(grants: Grants, grant: str, room_name: str, peer_id: str | None = None) -> None:
    """Raise unless a token allows something in a room, from which its peer is not banned.

    What an admin has made of the peer's rights there counts in the place of what the token says.
    """
    is_changeable = grant in rights.CHANGEABLE and not grants.is_admin
    may_be_given = is_changeable and grants.room.matches(room_name)
    if grants.has(grant) or not may_be_given:
        grants.check(grant, room_name, peer_id)
    if not grants.is_admin:
        with database.reading() as session:
            bans.check(session, room_name, grants.peer_id)
            given = rights.of(session, room_name, grants.peer_id)
            here = grants.within(given)
            if is_changeable:
                here.check(grant, room_name, peer_id)
            waits = grant in _OF_THOSE_INSIDE and not here.enters
            if waits and lobbies.is_shut_to(session, room_name, grants.peer_id):
                raise NotAdmitted(room_name)


def check_anywhere(grants: Grants, grant: str) -> None:
    """Raise unless a token allows something somewhere: by itself, or in a room by an admin's word.

    What it is about a room is to be asked (`check_room`) once that is known.
    """
    if not grants.has(grant) and grant in rights.CHANGEABLE:
        with database.reading() as session:
            given = rights.everywhere(session, grants.peer_id)
        for name, own in given.items():
            if grants.room.matches(name) and grants.within(own).has(grant):
                return
    grants.check(grant)
