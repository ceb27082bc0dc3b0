"""Rooms with a lobby: who waits in front of them, and who need not.

Whoever waits is no peer of the room: nothing of it is told to them, and they count against nothing
but a limit of their own. This is for locked servers, where a token says who is who.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import recovery, sessions
from presence.domain.peers.looks import Seen
from presence.domain.peers.sessions import Ended, Presence, SocketPresence
from presence.domain.permissions.tokens import ADMIT, ENTER
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.errors import LobbyFull, NotWaiting
from presence.storage.models import Peer, PeerSession, Room
from presence.storage.tables.knocks import Knock


class MustWait(Exception):
    """A room lets in only who is admitted; nothing has been done."""

    def __init__(self, room_name: str) -> None:
        super().__init__(room_name)
        self.room_name = room_name


class Waiting(NamedTuple):
    """Somebody who waits in front of a room, since its first connection does."""

    peer_id: str
    username: str
    user_data: dict[str, Any]
    knocked_at: datetime


def check(seen: Seen, previous: Iterable[Ended], now: datetime, *, enters: bool) -> None:
    """Raise `MustWait` if somebody who joins has to be admitted first.

    Not who is in the room, or was a moment ago and lost its connection.
    """
    name, peer = seen.room.name, seen.peer
    if enters or not seen.has_lobby or any(item.room_name == name for item in previous):
        return
    if peer is not None:
        may_come_back = peer.away_reason in sessions.MAY_COME_BACK
        if peer.session_count or (may_come_back and peer.last_seen > now - recovery.LIFE):
            return
        if {ENTER, ADMIT} & set((peer.grants or "").split()):
            return
    raise MustWait(name)


def knock(
    session: Session,
    room_name: str,
    peer_id: str,
    *,
    username: str,
    user_data: dict[str, Any],
    presence: Presence,
    most: int,
) -> str | None:
    """Let somebody wait in front of a room, and in front of no other by the same socket.

    Returns the reason of a refusal that it was not told yet, and that is over by that. Raises
    `LobbyFull` where `most` wait already.
    """
    now = clock.now()
    rooms.lock(session, room_name)
    sid: str | None = None
    worker_id: str | None = None
    expires_at: datetime | None = None
    if isinstance(presence, SocketPresence):
        sid, worker_id = presence.sid, presence.worker_id
        _forget(session, Knock.sid == sid, Knock.room_name != room_name)
        own = [Knock.sid == sid]
    else:
        expires_at = now + timedelta(seconds=presence.seconds)
        own = [Knock.sid.is_(None), Knock.peer_id == peer_id]
    own.append(Knock.room_name == room_name)
    before = session.execute(select(Knock.id, Knock.refused).where(*own)).first()
    if before is not None and before.refused is not None:
        _forget(session, Knock.id == before.id)
        return str(before.refused)
    row: dict[str, Any] = {
        "peer_id": peer_id,
        "username": username,
        "user_data": user_data,
        "expires_at": expires_at,
    }
    if before is not None:
        session.execute(
            update(Knock)
            .where(Knock.id == before.id)
            .values(**row)
            .execution_options(synchronize_session=False)
        )
        return None
    count = session.scalar(select(func.count()).where(*_waits(now, room_name)))
    if (count or 0) >= most:
        raise LobbyFull(most)
    session.add(Knock(room_name=room_name, sid=sid, worker_id=worker_id, knocked_at=now, **row))
    session.flush()
    return None


def waiting(session: Session, room_name: str | None = None) -> dict[str, list[Waiting]]:
    """Return who waits in front of a room, or of each, by its name; the first to come first."""
    found: dict[str, dict[str, Waiting]] = {}
    query = select(Knock).where(*_waits(clock.now(), room_name)).order_by(Knock.id)
    for row in session.scalars(query):
        one = Waiting(row.peer_id, row.username, row.user_data, row.knocked_at)
        found.setdefault(row.room_name, {}).setdefault(row.peer_id, one)
    return {name: list(people.values()) for name, people in found.items()}


def take(session: Session, room_name: str, peer_id: str) -> list[Knock]:
    """Return by what a peer waits, and let it wait no more; the room is locked.

    Raises `NotWaiting`.
    """
    rooms.lock(session, room_name)
    query = select(Knock).where(*_waits(clock.now(), room_name), Knock.peer_id == peer_id)
    found = list(session.scalars(query.order_by(Knock.id)))
    if not found:
        raise NotWaiting(room_name, peer_id)
    for row in found:
        session.expunge(row)
    _forget(session, Knock.id.in_([row.id for row in found]))
    return found


def refuse(session: Session, room_name: str, peer_id: str, reason: str) -> list[str]:
    """Turn a peer away that waits; returns the sockets that are to be told. Raises `NotWaiting`."""
    rooms.lock(session, room_name)
    rows = session.execute(
        update(Knock)
        .where(*_waits(clock.now(), room_name), Knock.peer_id == peer_id)
        .values(refused=reason)
        .returning(Knock.sid)
        .execution_options(synchronize_session=False)
    ).all()
    if not rows:
        raise NotWaiting(room_name, peer_id)
    return [row.sid for row in rows if row.sid is not None]


def withdraw(session: Session, room_name: str | None, sid: str) -> None:
    """Let a socket wait no more; with the room locked, so that it is not admitted meanwhile.

    None for one of which nothing more is to come.
    """
    if room_name is not None:
        rooms.lock(session, room_name)
    _forget(session, Knock.sid == sid)


def send_away(session: Session, room_name: str, peer_id: str | None = None) -> None:
    """Let nobody, or a peer no more, wait in front of a room: their joins are made once more."""
    conditions = [Knock.room_name == room_name]
    if peer_id is not None:
        conditions.append(Knock.peer_id == peer_id)
    _forget(session, *conditions)


def of_worker(session: Session, worker_id: str) -> dict[str, str | None]:
    """Return the sockets of a worker that wait, each with why it is refused, None if it is not."""
    rows = session.execute(select(Knock.sid, Knock.refused).where(Knock.worker_id == worker_id))
    return {str(row.sid): row.refused for row in rows}


def shut_to(session: Session, peer_id: str) -> set[str]:
    """Return the names of the rooms with a lobby in which a peer is not now."""
    return set(session.scalars(select(Room.name).where(Room.has_lobby, ~_is_inside(peer_id))))


def is_shut_to(session: Session, room_name: str, peer_id: str) -> bool:
    """Tell whether a room has a lobby, and a peer is not in it now."""
    return bool(
        session.scalar(
            select(Room.id).where(Room.name == room_name, Room.has_lobby, ~_is_inside(peer_id))
        )
    )


def has_lobby(session: Session, room_name: str) -> bool:
    """Tell whether a room has a lobby."""
    return bool(session.scalar(select(Room.id).where(Room.name == room_name, Room.has_lobby)))


def among(session: Session, room_names: Iterable[str]) -> set[str]:
    """Return which of some rooms have a lobby."""
    query = select(Room.name).where(Room.has_lobby, Room.name.in_(list(room_names)))
    return set(session.scalars(query))


def forget_expired(session: Session) -> None:
    """Forget who waited over REST and has not asked for too long."""
    _forget(session, Knock.expires_at <= clock.now())


def _is_inside(peer_id: str) -> ColumnElement[bool]:
    return (
        exists()
        .where(
            Peer.room_id == Room.id,
            Peer.peer_id == peer_id,
            PeerSession.peer_row_id == Peer.id,
        )
        .correlate(Room)
    )


def _waits(now: datetime, room_name: str | None) -> list[ColumnElement[bool]]:
    conditions = [Knock.refused.is_(None), or_(Knock.expires_at.is_(None), Knock.expires_at > now)]
    if room_name is not None:
        conditions.append(Knock.room_name == room_name)
    return conditions


def _forget(session: Session, *conditions: ColumnElement[bool]) -> None:
    session.execute(delete(Knock).where(*conditions).execution_options(synchronize_session=False))
