"""Tokens that were taken back before their time: kept, looked up, and run out.

A revocation is about the tokens that have all that it names, a ``jti`` or a peer, and that are for
no rooms but its own. One of a ``jti`` is about that token alone; any other about those made up to
its second, so that the next one may be given right after it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from presence.domain.permissions import room_patterns
from presence.domain.permissions.room_patterns import RoomPattern, RoomPatterns
from presence.domain.permissions.tokens import Grants
from presence.domain.values import clock
from presence.errors import TokenRevoked
from presence.storage.tables.revocations import Revocation

# What the last revocation was, to tell whether there is a newer one.
Mark = tuple[int, datetime] | None


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revocation; ``until`` is when the last of its tokens ends, or None."""

    jti: str | None
    peer_id: str | None
    rooms: RoomPatterns
    made_at: datetime
    until: datetime | None

    def concerns(self, grants: Grants) -> bool:
        """Tell whether this is about a token."""
        if self.jti is not None and grants.jti != self.jti:
            return False
        if self.peer_id is not None and grants.peer_id != self.peer_id:
            return False
        if self.jti is None and grants.issued_at >= int(self.made_at.timestamp()) + 1:
            return False
        if self.until is not None and self.until.timestamp() <= time.time():
            return False
        # A token that is good for no room at all is for no others.
        return all(self.rooms.covers(pattern) for pattern in grants.room.patterns)


class Revocations:
    """A copy in memory of those that hold: looked up without the database, replaced as a whole."""

    def __init__(self, revoked: Iterable[Revoked] = ()) -> None:
        self._by_jti: dict[str, list[Revoked]] = {}
        self._by_peer: dict[str, list[Revoked]] = {}
        self._of_rooms: list[Revoked] = []
        for one in revoked:
            if one.jti is not None:
                self._by_jti.setdefault(one.jti, []).append(one)
            elif one.peer_id is not None:
                self._by_peer.setdefault(one.peer_id, []).append(one)
            else:
                self._of_rooms.append(one)

    def check(self, grants: Grants) -> None:
        """Raise `TokenRevoked` if a token was taken back."""
        of_it = self._by_jti.get(grants.jti, ()) if grants.jti is not None else ()
        for found in (of_it, self._by_peer.get(grants.peer_id, ()), self._of_rooms):
            for one in found:
                if one.concerns(grants):
                    raise TokenRevoked


def revoke(
    session: Session,
    room: RoomPattern | RoomPatterns,
    *,
    jti: str | None,
    peer_id: str | None,
    seconds: float | None,
) -> Revoked:
    """Take tokens back for so many seconds, or for good.

    Those of these rooms: with this ``jti``, of this peer, or all, where neither is given. A former
    revocation of the same is replaced, which it covers.
    """
    now = clock.now()
    until = None if seconds is None else now + timedelta(seconds=seconds)
    rooms = RoomPatterns(room.patterns)
    text = "\n".join(pattern.text for pattern in room.patterns)
    same = (Revocation.jti == jti, Revocation.peer_id == peer_id, Revocation.room == text)
    former = session.execute(select(Revocation.until).where(*same)).scalars().all()
    if None in former:
        until = None
    elif until is not None:
        until = max([until, *(one for one in former if one is not None)])
    row = Revocation(jti=jti, peer_id=peer_id, room=text, made_at=now, until=until)
    session.add(row)
    session.flush()
    session.execute(
        delete(Revocation)
        .where(*same, Revocation.id != row.id)
        .execution_options(synchronize_session=False)
    )
    return Revoked(jti, peer_id, rooms, now, until)


def mark(session: Session) -> Mark:
    """Return what tells whether there are newer revocations than those that were read."""
    row = session.execute(
        select(Revocation.id, Revocation.made_at).order_by(Revocation.id.desc()).limit(1)
    ).one_or_none()
    return None if row is None else (row.id, row.made_at)


def read(session: Session) -> Sequence[Revoked]:
    """Return every revocation that holds."""
    return [
        Revoked(row.jti, row.peer_id, _rooms(row.room), row.made_at, row.until)
        for row in session.scalars(select(Revocation))
    ]


def forget_expired(session: Session) -> None:
    """Delete the revocations whose tokens have all ended."""
    session.execute(
        delete(Revocation)
        .where(Revocation.until <= clock.now())
        .execution_options(synchronize_session=False)
    )


def _rooms(text: str) -> RoomPatterns:
    return RoomPatterns(tuple(room_patterns.parse(one) for one in text.split("\n")))
