"""Sessions: the reasons why a peer is active, and every way in which one ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from presence.domain.peers import looks
from presence.domain.peers.looks import SeenSocket
from presence.domain.rooms import activity, occupancy, rooms
from presence.domain.rooms.lists import Change
from presence.domain.values import clock
from presence.errors import NotJoined
from presence.storage.instants import UtcDateTime
from presence.storage.models import Peer, PeerSession, Room
from presence.storage.prepared import Prepared

# Why sessions end, as lists and the activity of rooms tell it.
LEFT, LOST, EXPIRED = "left", "disconnected", "expired"
MAY_COME_BACK = (LOST, EXPIRED)

# Databases limit the values in one statement.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class SocketPresence:
    """Present through a live socket, held by a worker.

    ``is_new`` says that it has stood for nobody so far, as far as its worker knows.
    """

    sid: str
    worker_id: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class RestPresence:
    """Present through a REST call, for so many seconds unless renewed."""

    seconds: float


Presence = SocketPresence | RestPresence


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is about to end, with the room and peer it stands for."""

    session_id: int
    sid: str | None
    peer_row_id: int
    peer_id: str
    room_name: str


@dataclass(frozen=True, slots=True)
class EndedSocket:
    """A socket's session that has ended; ``is_active`` tells whether others of its peer live."""

    room_name: str
    peer_id: str
    change: Change
    is_active: bool


def peer_of(session: Session, sid: str) -> tuple[str, str]:
    """Return (room name, peer_id) of the peer that a socket stands for; raises `NotJoined`."""
    found = of_socket(session, sid)
    if not found:
        raise NotJoined
    return found[0].room_name, found[0].peer_id


def find(session: Session, *conditions: ColumnElement[bool]) -> list[Ended]:
    """Return the sessions that meet all `conditions`, ordered by room."""
    return [Ended(*row) for row in session.execute(_with_peer(*conditions))]


def of_socket(session: Session, sid: str) -> list[Ended]:
    """Return the session of a socket: a list of it, or an empty one."""
    return [Ended(*row) for row in _OF_SOCKET.rows(session, of_sid=sid)]


def of_peer(session: Session, room_name: str, peer_id: str) -> list[Ended]:
    """Return the sessions of a peer; none if there is no such peer."""
    return [Ended(*row) for row in _OF_PEER.rows(session, room_name=room_name, who=peer_id)]


def suspended_of(session: Session, peer_row_id: int) -> list[Ended]:
    """Return the sessions of a peer's sockets that were lost and may still come back."""
    return [Ended(*row) for row in _SUSPENDED_OF.rows(session, peer=peer_row_id)]


def expired_in(session: Session, room_id: int, now: datetime) -> list[Ended]:
    """Return the sessions in a room whose time is over."""
    # Hardly ever is there any, in this room or another, and an index tells.
    if not any_expired(session, now):
        return []
    return [Ended(*row) for row in _EXPIRED_IN.rows(session, of_room=room_id, now=now)]


def sockets_of_worker(session: Session, worker_id: str) -> set[str]:
    """Return the sids of a worker's sockets that stand for a peer."""
    sids = session.scalars(select(PeerSession.sid).where(PeerSession.worker_id == worker_id))
    return {sid for sid in sids if sid is not None}


def of_sockets(session: Session) -> list[Ended]:
    """Return every session through a socket, ordered by room."""
    return find(session, PeerSession.sid.is_not(None))


def start(session: Session, room_id: int, peer_id: str, presence: Presence, now: datetime) -> None:
    """Record why a peer is active. One that has a REST session already has it renewed instead."""
    if isinstance(presence, SocketPresence):
        sid, worker_id, expires_at = presence.sid, presence.worker_id, None
    else:
        sid, worker_id, expires_at = None, None, now + timedelta(seconds=presence.seconds)
    _START.later(
        session,
        of_room=room_id,
        who=peer_id,
        sid=sid,
        worker=worker_id,
        now=now,
        expires_at=expires_at,
    )


def renew(session: Session, peer_row_id: int, seconds: float, now: datetime) -> None:
    """Let a peer's REST session last `seconds` from now, if it has one."""
    _RENEW.later(session, peer=peer_row_id, until=now + timedelta(seconds=seconds))


def end(
    session: Session, ended: Sequence[Ended], last_seen: datetime, reason: str = LOST
) -> set[str]:
    """End sessions; a peer that loses its last one was last seen at `last_seen`.

    Raises the version of every room concerned, and returns their names. `reason` is what the
    rooms' lists and activity say of those who are not active any more.
    """
    locked = [rooms.change(session, name) for name in sorted({item.room_name for item in ended})]
    close(session, ended, last_seen, reason)
    for room in locked:
        lost = {item.peer_row_id for item in ended if item.room_name == room.name}
        activity.record_lost(session, room, lost, last_seen, reason)
        occupancy.note(session, room, last_seen)
    return {room.name for room in locked}


def close(session: Session, ended: Sequence[Ended], last_seen: datetime, reason: str) -> None:
    """Like `end`, in rooms that the caller has already locked."""
    for start_at in range(0, len(ended), _BATCH):
        batch = ended[start_at : start_at + _BATCH]
        peer_row_ids = list({item.peer_row_id for item in batch})
        _CLOSE.later(session, session_ids=[item.session_id for item in batch])
        _CHANGED.later(session, peer_row_ids=peer_row_ids, seen=last_seen, reason=reason)


def end_socket(
    session: Session, sid: str, reason: str = LOST, *, in_room: str | None = None
) -> EndedSocket | None:
    """End the session of a socket that was lost, or left; return what came of it.

    Only this socket's own session ends: a peer with another one stays active. `in_room` is where
    its process knows it to be. None if it stands for nobody.
    """
    if in_room is None:
        found = of_socket(session, sid)
        if not found:
            return None
        in_room = found[0].room_name
    rooms.change_soon(session, in_room)
    seen = looks.look_at_socket(session, sid)
    if seen is None or seen.room.name != in_room:
        rooms.take_back(session, in_room)
        return None if seen is None else end_socket(session, sid, reason)
    return end_seen(session, seen, reason)


def end_seen(session: Session, seen: SeenSocket, reason: str) -> EndedSocket:
    """Like `end_socket`, where the room is locked and it was looked at."""
    room, peer, now = seen.room, seen.peer, clock.now()
    left = peer.session_count - 1
    last_seen = peer.last_seen if left and reason != LEFT else max(now, peer.last_seen)
    _CLOSE.later(session, session_ids=[seen.session_id])
    _PARTED.later(session, peer=peer.id, version=room.version, reason=reason, seen=last_seen)
    if not left:
        activity.record_left(session, room, [(peer.peer_id, peer.username)], now, reason)
    occupancy.note(session, room, now, room.active_peers - (not left))
    shown = peer.listed(session, session_count=left, away_reason=reason, last_seen=last_seen)
    change = Change(room.name, room.id, room.version - 1, room.version, (shown,))
    return EndedSocket(room.name, peer.peer_id, change, left > 0)


def suspend(session: Session, sid: str, seconds: float) -> bool:
    """Let the session of a socket that was lost end only after a grace; return whether it has one.

    Nothing that the room shows changes by it.
    """
    until = clock.now() + timedelta(seconds=seconds)
    return _SUSPEND.run(session, of_sid=sid, until=until) > 0


def any_expired(session: Session, now: datetime | None = None) -> bool:
    """Tell whether `end_expired` would end anything."""
    return bool(_EXPIRED.rows(session, now=now or clock.now()))


def end_expired(session: Session) -> set[str]:
    """End every session whose time is over; return the names of the rooms concerned."""
    now = clock.now()
    names: set[str] = set()
    for reason, ended in by_reason(find(session, PeerSession.expires_at <= now)).items():
        names |= end(session, ended, now, reason)
    return names


def prolong_rest(session: Session, seconds: float) -> None:
    """Let no REST session end within half of `seconds`, what each lasts from its last renewal."""
    now = clock.now()
    session.execute(
        update(PeerSession)
        .where(PeerSession.sid.is_(None))
        .where(PeerSession.expires_at < now + timedelta(seconds=seconds / 2))
        .values(expires_at=now + timedelta(seconds=seconds))
    )


def by_reason(expired: Sequence[Ended]) -> dict[str, list[Ended]]:
    """Return sessions whose time is over by why that is: a lost socket's, or a REST join's."""
    reasons: dict[str, list[Ended]] = {}
    for item in expired:
        reasons.setdefault(EXPIRED if item.sid is None else LOST, []).append(item)
    return reasons


def _with_peer(*conditions: ColumnElement[bool]) -> Select[int, str | None, int, str, str]:
    """Select what `Ended` holds of the sessions that meet all `conditions`."""
    return (
        select(PeerSession.id, PeerSession.sid, Peer.id, Peer.peer_id, Room.name)
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(*conditions)
        .order_by(Room.name)
    )


_OF_SOCKET = Prepared(_with_peer(PeerSession.sid == bindparam("of_sid")))
_OF_PEER = Prepared(
    _with_peer(Room.name == bindparam("room_name"), Peer.peer_id == bindparam("who"))
)
_SUSPENDED_OF = Prepared(
    _with_peer(
        Peer.id == bindparam("peer"),
        PeerSession.sid.is_not(None),
        PeerSession.expires_at.is_not(None),
    )
)
_EXPIRED_IN = Prepared(
    _with_peer(Room.id == bindparam("of_room"), PeerSession.expires_at <= bindparam("now"))
)
_EXPIRED = Prepared(
    select(PeerSession.id).where(PeerSession.expires_at <= bindparam("now")).limit(1)
)
_START = Prepared(
    insert(PeerSession).values(
        peer_row_id=select(Peer.id)
        .where(Peer.room_id == bindparam("of_room"), Peer.peer_id == bindparam("who"))
        .scalar_subquery(),
        sid=bindparam("sid"),
        worker_id=bindparam("worker"),
        started_at=bindparam("now"),
        expires_at=bindparam("expires_at"),
    )
)
_RENEW = Prepared(
    update(PeerSession)
    .where(
        PeerSession.peer_row_id == bindparam("peer"),
        # Not `is_(None)`: for that SQLite goes through all REST sessions there are, by the index
        # of sids, as if there could be but one without.
        func.coalesce(PeerSession.sid, "") == "",
    )
    .values(expires_at=bindparam("until"))
)
_SUSPEND = Prepared(
    update(PeerSession)
    .where(PeerSession.sid == bindparam("of_sid"))
    .values(expires_at=bindparam("until"))
)
_CLOSE = Prepared(
    delete(PeerSession).where(PeerSession.id.in_(bindparam("session_ids", expanding=True)))
)
_PARTED = Prepared(
    update(Peer)
    .where(Peer.id == bindparam("peer"))
    .values(
        changed_version=bindparam("version"),
        away_reason=bindparam("reason"),
        last_seen=bindparam("seen"),
    )
)
_CHANGED = Prepared(
    update(Peer)
    .where(Peer.id.in_(bindparam("peer_row_ids", expanding=True)))
    .values(
        changed_version=rooms.VERSION_OF_PEER,
        away_reason=bindparam("reason"),
        last_seen=case(
            (
                and_(
                    Peer.last_seen < bindparam("seen", type_=UtcDateTime),
                    ~exists().where(PeerSession.peer_row_id == Peer.id),
                ),
                bindparam("seen", type_=UtcDateTime),
            ),
            else_=Peer.last_seen,
        ),
    )
)
