"""Erasure: taking peers out of a room with everything that is theirs.

Their sessions, secrets and file rows go with their rows (ON DELETE CASCADE); their activity goes
too. The bytes of their files are removed by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, exists, func, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms import activity, broadcasts, occupancy, quotas
from presence.domain.rooms.rooms import LockedRoom
from presence.domain.values import clock
from presence.storage.models import File, Peer, PeerSession, Room
from presence.storage.prepared import Prepared
from presence.storage.tables.room_data import RoomData

# The most that one join waits for; the upkeep erases the others (see `retention`).
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class ErasedPeers:
    """Peers that were erased, and the files they owned."""

    peer_ids: tuple[str, ...] = ()
    stored_names: tuple[str, ...] = ()


NOBODY = ErasedPeers()


def erase(session: Session, room: LockedRoom, peer_row_ids: Sequence[int]) -> ErasedPeers:
    """Erase peers of a locked room, active or not."""
    if not peer_row_ids:
        return NOBODY
    rows = session.execute(
        select(Peer.peer_id, Peer.username).where(Peer.id.in_(peer_row_ids))
    ).all()
    peer_ids = [row.peer_id for row in rows]
    files = session.execute(
        select(File.stored_name, File.size).where(File.peer_row_id.in_(peer_row_ids))
    ).all()
    session.execute(
        delete(Peer).where(Peer.id.in_(peer_row_ids)).execution_options(synchronize_session=False)
    )
    activity.forget(session, room.id, peer_ids)
    broadcasts.erase_of(session, room.id, peer_ids)
    session.execute(
        update(RoomData)
        .where(RoomData.room_id == room.id, RoomData.changed_by.in_(peer_ids))
        .values(changed_by=None)
        .execution_options(synchronize_session=False)
    )
    now = clock.now()
    outbox.redact(session, room.name, peer_ids)
    for peer_id, username in rows:
        outbox.tell_left(session, room, (peer_id, username), now, outbox.ERASED)
    occupancy.note(session, room, now)
    if files:
        quotas.remove_files(session, room.id, sum(file.size for file in files))
    session.execute(
        update(Room)
        .where(Room.id == room.id, ~exists().where(Peer.room_id == Room.id))
        .values(empty_since=now)
        .execution_options(synchronize_session=False)
    )
    return ErasedPeers(tuple(peer_ids), tuple(file.stored_name for file in files))


def make_place(session: Session, room: LockedRoom, max_kept: int) -> ErasedPeers:
    """Erase those longest away from a locked room, so that with one peer more it keeps `max_kept`.

    Nobody goes who is active: a room in which all are holds as many as its places allow. With 0
    any number is kept.
    """
    if not max_kept:
        return NOBODY
    return erase(session, room, longest_away(session, room, max_kept - 1))


def longest_away(session: Session, room: LockedRoom, kept: int) -> Sequence[int]:
    """Return the inactive peers that a room has beyond `kept`, those longest away first.

    Not all of them where they are many.
    """
    (peers,) = _COUNT.rows(session, of_room=room.id)[0]
    if peers <= kept:
        return ()
    return session.scalars(
        select(Peer.id)
        .where(Peer.room_id == room.id, ~exists().where(PeerSession.peer_row_id == Peer.id))
        .order_by(Peer.last_seen, Peer.id)
        .limit(min(peers - kept, _AT_ONCE))
    ).all()


_COUNT = Prepared(select(func.count(Peer.id)).where(Peer.room_id == bindparam("of_room")))
