"""Single peers and their sessions as rows: what the verbs of `peers` and `files` are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, bindparam, case, exists, func, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
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


def store_known(
    session: Session,
    whose: dict[str, str],
    version: int,
    *,
    now: datetime,
    user_data: dict[str, Any],
    is_changed: bool,
    told: dict[str, Any] | None = None,
) -> tuple[int, int] | None:
    """Store the data of a socket's peer if it has not changed since a version of its room.

    `whose` names the room (``room_name``), the peer (``who``) and the socket (``of_sid``). The room
    is locked and gets its next version, and the transaction ends. Backends are `told` of it, if
    that is given. Returns the room's row id and
    that version, or None where nothing was stored.
    """
    _CHANGE_ROOM_OF_KNOWN.later(session, **whose, known=version)
    if told is not None:
        outbox.tell_with(session, _TELL_KNOWN, told, **whose, known=version, now=now)
    row = _STORE_KNOWN.last_row(
        session, **whose, known=version, now=now, data=user_data, is_changed=is_changed
    )
    return (row[0], row[1]) if row else None


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
# In all these statements, for the first may wait for somebody else who changes the peer.
_IS_AS_KNOWN = (
    Peer.peer_id == bindparam("who"),
    Peer.changed_version <= bindparam("known"),
    exists().where(PeerSession.sid == bindparam("of_sid"), PeerSession.peer_row_id == Peer.id),
)
_CHANGE_ROOM_OF_KNOWN = Prepared(
    update(Room)
    .where(
        Room.name == bindparam("room_name"),
        exists().where(Peer.room_id == Room.id, *_IS_AS_KNOWN),
    )
    .values(version=Room.version + 1)
)
_TELL_KNOWN = outbox.telling(
    outbox.PEER_UPDATED, Room.name == bindparam("room_name"), *_IS_AS_KNOWN
)
_STORE_KNOWN = Prepared(
    update(Peer)
    .where(
        Peer.room_id
        == select(Room.id).where(Room.name == bindparam("room_name")).scalar_subquery(),
        *_IS_AS_KNOWN,
    )
    .values(
        last_seen=bindparam("now"),
        user_data=bindparam("data"),
        data_version=case(
            (bindparam("is_changed", type_=Boolean), rooms.VERSION_OF_PEER),
            else_=Peer.data_version,
        ),
        changed_version=rooms.VERSION_OF_PEER,
    )
    .returning(Peer.room_id, Peer.changed_version)
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
