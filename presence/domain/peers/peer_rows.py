"""Single peers and their sessions as rows: what the verbs of `peers` and `files` are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import sessions
from presence.domain.peers.sessions import Ended
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.errors import PeerNotFound
from presence.storage.models import Peer, PeerSession
from presence.storage.prepared import Prepared


class PeerRow(NamedTuple):
    """A peer as the functions that change it need it."""

    id: int
    peer_id: str
    username: str
    last_seen: datetime
    user_data: dict[str, Any]
    data_version: int
    session_count: int


def find(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow | None:
    """Return a peer of a locked room, or None."""
    row = _FIND.row(session, of_room=room.id, who=peer_id)
    return PeerRow(*row) if row else None


def get(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow:
    """Return a peer of a locked room; raises `PeerNotFound`."""
    peer = find(session, room, peer_id)
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
) -> int:
    """Insert a peer of a locked room; return its row id."""
    (row_id,) = _ADD.rows(
        session,
        of_room=room.id,
        who=peer_id,
        called=username,
        now=now,
        data=user_data,
        version=room.version,
    )[0]
    added: int = row_id
    return added


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
    _STORE.run(
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
    _SAW.run(session, peer=peer_row_id, now=now)


def mark(session: Session, peer_row_id: int) -> None:
    """Note that something else changed by which a list shows a peer, such as its files."""
    _MARK.run(session, peer=peer_row_id)


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
    if peer is None or not peer.session_count:
        return []
    return sessions.suspended_of(session, peer.id)


def version_where_known(session: Session, room_name: str, peer_id: str) -> int:
    """Return the version of a room that has this peer; raises what is missing."""
    room_id, version = rooms.identify(session, room_name)
    if _FIND.row(session, of_room=room_id, who=peer_id) is None:
        raise PeerNotFound(room_name, peer_id)
    return version


_FIND = Prepared(
    select(
        Peer.id,
        Peer.peer_id,
        Peer.username,
        Peer.last_seen,
        Peer.user_data,
        Peer.data_version,
        select(func.count()).where(PeerSession.peer_row_id == Peer.id).scalar_subquery(),
    ).where(Peer.room_id == bindparam("of_room"), Peer.peer_id == bindparam("who"))
)
_ADD = Prepared(
    insert(Peer)
    .values(
        room_id=bindparam("of_room"),
        peer_id=bindparam("who"),
        username=bindparam("called"),
        joined_at=bindparam("now"),
        last_seen=bindparam("now"),
        user_data=bindparam("data"),
        data_version=bindparam("version"),
        changed_version=bindparam("version"),
    )
    .returning(Peer.id)
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
