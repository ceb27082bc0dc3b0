"""Single peers and their sessions as rows: what the verbs of `peers` and `files` are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from presence.domain import clock, rooms, sessions
from presence.domain.sessions import Ended
from presence.errors import PeerNotFound, RoomNotFound
from presence.storage.models import Peer, PeerSession, Room


class PeerRow(NamedTuple):
    """A peer as the functions that change it need it."""

    id: int
    peer_id: str
    username: str
    last_seen: datetime
    user_data: dict[str, Any]
    data_version: int


def find(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow | None:
    """Return a peer of a locked room, or None."""
    row = session.execute(
        select(
            Peer.id,
            Peer.peer_id,
            Peer.username,
            Peer.last_seen,
            Peer.user_data,
            Peer.data_version,
        ).where(Peer.room_id == room.id, Peer.peer_id == peer_id)
    ).one_or_none()
    return PeerRow(*row) if row else None


def get(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow:
    """Return a peer of a locked room; raises `PeerNotFound`."""
    peer = find(session, room, peer_id)
    if peer is None:
        raise PeerNotFound(room.name, peer_id)
    return peer


def store(session: Session, peer_row_id: int, **values: Any) -> None:
    """Set columns of a peer."""
    session.execute(
        update(Peer)
        .where(Peer.id == peer_row_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def touch(session: Session, peer: PeerRow, renew_seconds: float) -> None:
    """Note that a peer did something just now; a REST session of it is renewed."""
    now = clock.now()
    store(session, peer.id, last_seen=now)
    sessions.renew(session, peer.id, renew_seconds, now)


def count_active(session: Session, room: rooms.LockedRoom) -> int:
    """Count the active peers of a locked room."""
    return session.execute(
        select(func.count(PeerSession.peer_row_id.distinct()))
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .where(Peer.room_id == room.id)
    ).scalar_one()


def count_sessions(session: Session, peer_row_id: int) -> int:
    """Count the sessions of a peer; it is active while there is one."""
    return session.execute(
        select(func.count()).where(PeerSession.peer_row_id == peer_row_id)
    ).scalar_one()


def sessions_of(session: Session, room_name: str, peer_id: str) -> list[Ended]:
    """Return the sessions of a peer; none if there is no such peer."""
    return sessions.find(session, Room.name == room_name, Peer.peer_id == peer_id)


def suspended_sessions(session: Session, peer: PeerRow | None) -> list[Ended]:
    """Return the sessions of a peer's sockets that were lost and may still come back."""
    if peer is None:
        return []
    return sessions.find(
        session,
        Peer.id == peer.id,
        PeerSession.sid.is_not(None),
        PeerSession.expires_at.is_not(None),
    )


def version_where_known(session: Session, room_name: str, peer_id: str) -> int:
    """Return the version of a room that has this peer; raises what is missing."""
    room = session.execute(
        select(Room.id, Room.version).where(Room.name == room_name)
    ).one_or_none()
    if room is None:
        raise RoomNotFound(room_name)
    known = session.scalar(
        select(func.count()).where(Peer.room_id == room.id, Peer.peer_id == peer_id)
    )
    if not known:
        raise PeerNotFound(room_name, peer_id)
    version: int = room.version
    return version
