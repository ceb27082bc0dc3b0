"""Single peers and their sessions as rows: what the verbs of `peers` and `files` are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import looks, sessions
from presence.domain.peers.looks import PeerRow
from presence.domain.peers.sessions import Ended
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.errors import PeerNotFound, RoomNotFound
from presence.storage.models import Peer, PeerSession, Room
from presence.storage.prepared import Prepared


def get(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow:
    """Return a peer of a locked room; raises `PeerNotFound`."""
    peer = looks.find(session, room, peer_id)
    if peer is None:
        raise PeerNotFound(room.name, peer_id)
    return peer


def add(
    session: Session,
    room: rooms.LockedRoom,
    *,
    peer_id: str,
    username: str,
    user_data: dict[str, Any],
    now: datetime,
) -> None:
    """Insert a peer of a locked room."""
    _ADD.later(
        session,
        of_room=room.id,
        who=peer_id,
        called=username,
        now=now,
        data=user_data,
        version=room.version,
    )


def store(
    session: Session,
    peer: PeerRow,
    room: rooms.LockedRoom,
    *,
    now: datetime,
    username: str | None = None,
    user_data: dict[str, Any] | None = None,
) -> None:
    """Note that a peer of a locked room did something, and what changed of it by that, if given."""
    _STORE.later(
        session,
        peer=peer.id,
        called=peer.username if username is None else username,
        now=now,
        data=peer.user_data if user_data is None else user_data,
        of_version=peer.data_version if user_data is None else room.version,
        version=room.version,
    )


def saw(session: Session, peer_row_id: int, now: datetime) -> None:
    """Note that a peer did something just now."""
    _SAW.later(session, peer=peer_row_id, now=now)


def mark(session: Session, peer_row_id: int) -> None:
    """Note that something else changed by which a list shows a peer, such as its files."""
    _MARK.later(session, peer=peer_row_id)


def touch(session: Session, peer: PeerRow, renew_seconds: float) -> None:
    """Note that a peer did something just now; a REST session of it is renewed."""
    now = clock.now()
    saw(session, peer.id, now)
    sessions.renew(session, peer.id, renew_seconds, now)


def count_sessions(session: Session, peer_row_id: int) -> int:
    """Count the sessions of a peer; it is active while there is one."""
    (count,) = _COUNT_SESSIONS.rows(session, peer=peer_row_id)[0]
    sessions_now: int = count
    return sessions_now


def sessions_of(session: Session, room_name: str, peer_id: str) -> list[Ended]:
    """Return the sessions of a peer; none if there is no such peer."""
    return sessions.of_peer(session, room_name, peer_id)


def suspended_sessions(session: Session, peer: PeerRow | None) -> list[Ended]:
    """Return the sessions of a peer's sockets that were lost and may still come back."""
    if peer is None or not peer.suspended_sessions:
        return []
    return sessions.suspended_of(session, peer.id)


def version_where_known(session: Session, room_name: str, peer_id: str) -> int:
    """Return the version of a room that has this peer; raises what is missing."""
    room_id, version = rooms.identify(session, room_name)
    if not looks.knows(session, room_id, peer_id):
        raise PeerNotFound(room_name, peer_id)
    return version


_ADD = Prepared(
    insert(Peer).values(
        room_id=bindparam("of_room"),
        peer_id=bindparam("who"),
        username=bindparam("called"),
        joined_at=bindparam("now"),
        last_seen=bindparam("now"),
        user_data=bindparam("data"),
        data_version=bindparam("version"),
        changed_version=bindparam("version"),
    )
)
_STORE = Prepared(
    update(Peer)
    .where(Peer.id == bindparam("peer"))
    .values(
        username=bindparam("called"),
        last_seen=bindparam("now"),
        user_data=bindparam("data"),
        data_version=bindparam("of_version"),
        changed_version=bindparam("version"),
    )
)
_SAW = Prepared(
    update(Peer)
    .where(Peer.id == bindparam("peer"))
    .values(last_seen=bindparam("now"), changed_version=rooms.VERSION_OF_PEER)
)
_MARK = Prepared(
    update(Peer).where(Peer.id == bindparam("peer")).values(changed_version=rooms.VERSION_OF_PEER)
)
_COUNT_SESSIONS = Prepared(select(func.count()).where(PeerSession.peer_row_id == bindparam("peer")))


def sockets_of(session: Session, room_name: str, peer_ids: list[str]) -> dict[str, list[str]]:
    """Return the sids of every socket of some peers of a room, by peer_id.

    One that is not here has none; one that the room does not know is left out. Raises
    `RoomNotFound`.
    """
    room_id = session.scalar(select(Room.id).where(Room.name == room_name))
    if room_id is None:
        raise RoomNotFound(room_name)
    rows = session.execute(
        select(Peer.peer_id, PeerSession.sid)
        .outerjoin(PeerSession, PeerSession.peer_row_id == Peer.id)
        .where(Peer.room_id == room_id, Peer.peer_id.in_(peer_ids))
        .order_by(Peer.id, PeerSession.id)
    )
    found: dict[str, list[str]] = {}
    for peer_id, sid in rows:
        found.setdefault(peer_id, []).extend([sid] if sid is not None else [])
    return found
