"""What a transaction asks of a room and a peer before it decides, all of it at one look."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, exists, func, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from presence.domain.rooms import lists, quotas, rooms
from presence.domain.rooms.lists import ListedPeer
from presence.domain.values.user_data import json_of
from presence.storage.instants import UtcDateTime, instant_text, text_of_instant
from presence.storage.models import Ban, Closing, File, Peer, PeerSession, Room, Usage
from presence.storage.prepared import ChangedHere, Prepared, Row


class PeerRow(NamedTuple):
    """A peer as the functions that change it need it; of its sessions each kind is counted."""

    id: int
    peer_id: str
    username: str
    joined_at: str
    last_seen: datetime
    user_data: dict[str, Any]
    data_version: int
    away_reason: str | None
    grants: str | None
    session_count: int
    rest_sessions: int
    suspended_sessions: int
    files: int

    def listed(self, session: Session, **changed: Any) -> ListedPeer:
        """Return the peer as lists show it, but for what has `changed` of that."""
        is_same = "user_data" not in changed
        return ListedPeer(
            self.peer_id,
            changed.get("username", self.username),
            self.joined_at,
            text_of_instant(changed.get("last_seen", self.last_seen)),
            json_of(self.user_data if is_same else changed["user_data"]),
            changed.get("session_count", self.session_count),
            changed.get("away_reason", self.away_reason),
            changed.get("grants", self.grants),
            lists.files_of(session, self.id) if self.files else (),
        )


class Seen(NamedTuple):
    """A room that the transaction has locked, and a peer of it, at one look.

    ``has_session`` tells whether the socket that was asked for stands for anybody, ``any_expired``
    whether there are sessions anywhere whose time is over, ``is_barred`` whether a ban or a closing
    may hold, ``password_hash`` what joining asks for, ``has_lobby`` whether
    one waits before it. ``peers`` are counted where this one is new.
    """

    room: rooms.LockedRoom
    created_at: str
    has_session: bool
    any_expired: bool
    is_barred: bool
    password_hash: str | None
    has_lobby: bool
    peers: int
    peer: PeerRow | None


class Made(NamedTuple):
    """Whether a room was made by this transaction, and how many there are, and its maker's."""

    is_new: bool
    rooms: int
    of_maker: int


class SeenSocket(NamedTuple):
    """A room that the transaction has locked, and the peer of it that a socket stands for."""

    room: rooms.LockedRoom
    session_id: int
    peer: PeerRow


def look(
    session: Session, room_name: str, peer_id: str, sid: str | None, now: datetime
) -> Seen | None:
    """Return a room with one of its peers; None where this transaction has not changed any.

    There may be one all the same, made by somebody else since.
    """
    row = _LOOK.row(session, room_name=room_name, who=peer_id, of_sid=sid, now=now)
    return _seen(row) if row is not None else None


def look_at_made(
    session: Session, room_name: str, peer_id: str, sid: str | None, now: datetime, *, maker: str
) -> tuple[Seen, Made] | None:
    """Like `look`, of a room that `rooms.make_soon` has made, or changed if it was there."""
    asked = {"room_name": room_name, "who": peer_id, "of_sid": sid, "now": now}
    row = _LOOK_AT_MADE.row(session, **asked, maker=maker)
    return (_seen(row[3:]), Made(*row[:3])) if row is not None else None


def look_at_socket(session: Session, sid: str) -> SeenSocket | None:
    """Return the room and the peer that a socket stands for; None where it stands for none."""
    row = _LOOK_AT_SOCKET.row(session, of_sid=sid)
    if row is None:
        return None
    return SeenSocket(rooms.LockedRoom(*row[:5]), row[5], PeerRow(*row[6:]))


def _seen(row: Row) -> Seen:
    peer = PeerRow(*row[12:]) if row[12] is not None else None
    return Seen._make((rooms.LockedRoom(*row[:5]), *row[5:12], peer))


def find(session: Session, room: rooms.LockedRoom, peer_id: str) -> PeerRow | None:
    """Return a peer of a locked room, or None."""
    row = _FIND.row(session, of_room=room.id, who=peer_id)
    return PeerRow(*row) if row else None


def knows(session: Session, room_id: int, peer_id: str) -> bool:
    """Tell whether a room has a peer, active or not."""
    return bool(_KNOWS.rows(session, of_room=room_id, who=peer_id))


# Beside those that the conditions are about.
_Other, _Own, _Made = aliased(Peer), aliased(PeerSession), aliased(Room)


def _count_sessions(*conditions: Any) -> Any:
    # What is counted is no condition of the search: for “sid IS NULL” SQLite would go through the
    # REST sessions of all peers, by the index of it.
    counted = case((and_(*conditions), 1)) if conditions else literal_column("*")
    return select(func.count(counted)).where(PeerSession.peer_row_id == Peer.id).scalar_subquery()


_COLUMNS = (
    Peer.id,
    Peer.peer_id,
    Peer.username,
    instant_text(Peer.joined_at),
    Peer.last_seen,
    Peer.user_data,
    Peer.data_version,
    Peer.away_reason,
    Peer.grants,
    _count_sessions(),
    _count_sessions(PeerSession.sid.is_(None)),
    _count_sessions(PeerSession.sid.is_not(None), PeerSession.expires_at.is_not(None)),
    select(func.count()).where(File.peer_row_id == Peer.id).scalar_subquery(),
)
_ROOM = (Room.id, Room.name, Room.max_peers, Room.version, Room.active_peers)
_SEEN = (
    *_ROOM,
    instant_text(Room.created_at),
    exists().where(PeerSession.sid == bindparam("of_sid")),
    exists().where(PeerSession.expires_at <= bindparam("now", type_=UtcDateTime)),
    or_(
        exists().where(Ban.room_name == Room.name, Ban.peer_id == bindparam("who")),
        exists().where(Closing.room_name == Room.name),
    ),
    Room.password_hash,
    Room.has_lobby,
    case(
        (
            Peer.id.is_(None),
            select(func.count()).where(_Other.room_id == Room.id).scalar_subquery(),
        ),
        else_=0,
    ),
    *_COLUMNS,
)


def _looking(*columns: Any) -> Prepared:
    return Prepared(
        select(*columns)
        .outerjoin(Peer, and_(Peer.room_id == Room.id, Peer.peer_id == bindparam("who")))
        .where(Room.name == bindparam("room_name"), ChangedHere(Room.__tablename__))
    )


_LOOK = _looking(*_SEEN)
_LOOK_AT_MADE = _looking(
    quotas.IS_BEING_MADE,
    select(Usage.rooms).scalar_subquery(),
    select(func.count()).where(_Made.made_by == bindparam("maker")).scalar_subquery(),
    *_SEEN,
)
_LOOK_AT_SOCKET = Prepared(
    select(*_ROOM, _Own.id, *_COLUMNS)
    .join(Peer, Peer.room_id == Room.id)
    .join(_Own, _Own.peer_row_id == Peer.id)
    .where(_Own.sid == bindparam("of_sid"))
)
_FIND = Prepared(
    select(*_COLUMNS).where(Peer.room_id == bindparam("of_room"), Peer.peer_id == bindparam("who"))
)
_KNOWS = Prepared(
    select(Peer.id).where(Peer.room_id == bindparam("of_room"), Peer.peer_id == bindparam("who"))
)
