"""Sessions: the reasons why a peer is active, and every way in which one ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, select, update
from sqlalchemy.orm import Session

from presence.domain import activity, clock, occupancy, rooms
from presence.errors import NotJoined
from presence.storage.models import Peer, PeerSession, Room

# Databases limit the values in one statement.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class SocketPresence:
    """Present through a live socket, held by a worker."""

    sid: str
    worker_id: str


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


def peer_of(session: Session, sid: str) -> tuple[str, str]:
    """Return (room name, peer_id) of the peer that a socket stands for; raises `NotJoined`."""
    found = find(session, PeerSession.sid == sid)
    if not found:
        raise NotJoined
    return found[0].room_name, found[0].peer_id


def find(session: Session, *conditions: ColumnElement[bool]) -> list[Ended]:
    """Return the sessions that meet all `conditions`, ordered by room."""
    rows = session.execute(
        select(PeerSession.id, PeerSession.sid, Peer.id, Peer.peer_id, Room.name)
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(*conditions)
        .order_by(Room.name)
    )
    return [Ended(*row) for row in rows]


def sockets_of_worker(session: Session, worker_id: str) -> set[str]:
    """Return the sids of a worker's sockets that stand for a peer."""
    sids = session.scalars(select(PeerSession.sid).where(PeerSession.worker_id == worker_id))
    return {sid for sid in sids if sid is not None}


def of_sockets(session: Session) -> list[Ended]:
    """Return every session through a socket, ordered by room."""
    return find(session, PeerSession.sid.is_not(None))


def start(session: Session, peer_row_id: int, presence: Presence, now: datetime) -> None:
    """Record why a peer is active. A peer has at most one REST session, which is renewed."""
    if isinstance(presence, SocketPresence):
        row: dict[str, Any] = {
            "sid": presence.sid,
            "worker_id": presence.worker_id,
            "expires_at": None,
        }
    else:
        if renew(session, peer_row_id, presence.seconds, now):
            return
        expires_at = now + timedelta(seconds=presence.seconds)
        row = {"sid": None, "worker_id": None, "expires_at": expires_at}
    session.execute(insert(PeerSession).values(peer_row_id=peer_row_id, started_at=now, **row))


def renew(session: Session, peer_row_id: int, seconds: float, now: datetime) -> bool:
    """Let a peer's REST session last `seconds` from now; return whether it has one."""
    result = session.execute(
        update(PeerSession)
        .where(PeerSession.peer_row_id == peer_row_id, PeerSession.sid.is_(None))
        .values(expires_at=now + timedelta(seconds=seconds))
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def end(
    session: Session, ended: Sequence[Ended], last_seen: datetime, reason: str = "disconnected"
) -> set[str]:
    """End sessions; a peer that loses its last one was last seen at `last_seen`.

    Raises the version of every room concerned, and returns their names. `reason` is what the
    rooms' activity says of those who left by it.
    """
    locked = [rooms.change(session, name) for name in sorted({item.room_name for item in ended})]
    close(session, ended, last_seen)
    for room in locked:
        lost = {item.peer_row_id for item in ended if item.room_name == room.name}
        activity.record_lost(session, room.id, lost, last_seen, reason)
        occupancy.note(session, room.id, last_seen)
    return {room.name for room in locked}


def close(session: Session, ended: Sequence[Ended], last_seen: datetime) -> None:
    """Like `end`, in rooms that the caller has already locked."""
    for start_at in range(0, len(ended), _BATCH):
        batch = ended[start_at : start_at + _BATCH]
        session.execute(
            delete(PeerSession)
            .where(PeerSession.id.in_([item.session_id for item in batch]))
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(Peer)
            .where(
                Peer.id.in_({item.peer_row_id for item in batch}),
                Peer.last_seen < last_seen,
                ~exists().where(PeerSession.peer_row_id == Peer.id),
            )
            .values(last_seen=last_seen)
            .execution_options(synchronize_session=False)
        )


def end_socket(session: Session, sid: str) -> Ended | None:
    """End the session of a socket that was lost; return it, or None if it had none.

    Only this socket's own session ends: a peer with another one stays active.
    """
    ended = find(session, PeerSession.sid == sid)
    if not ended:
        return None
    end(session, ended, clock.now())
    return ended[0]


def suspend(session: Session, sid: str, seconds: float) -> bool:
    """Let the session of a socket that was lost end only after a grace; return whether it has one.

    Nothing that the room shows changes by it.
    """
    result = session.execute(
        update(PeerSession)
        .where(PeerSession.sid == sid)
        .values(expires_at=clock.now() + timedelta(seconds=seconds))
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def any_expired(session: Session) -> bool:
    """Tell whether `end_expired` would end anything."""
    return bool(session.scalar(select(exists().where(PeerSession.expires_at <= clock.now()))))


def end_expired(session: Session) -> set[str]:
    """End every session whose time is over; return the names of the rooms concerned."""
    now = clock.now()
    return end(session, find(session, PeerSession.expires_at <= now), now, reason="expired")
