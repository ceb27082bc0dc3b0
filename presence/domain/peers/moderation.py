"""What an admin does to others: putting peers out of a room, for now, for a time or for good."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.peers import lobbies, peer_rows, recovery, sessions
from presence.domain.peers.results import Left
from presence.domain.permissions import bans
from presence.domain.permissions.bans import Bar
from presence.domain.rooms import activity, erasure, occupancy, quotas, rooms
from presence.domain.values import clock
from presence.errors import RoomNotFound
from presence.storage.models import Peer, Room

KICKED, BANNED, CLOSED, REMOVED = "kicked", "banned", "room_closed", "room_removed"


@dataclass(frozen=True, slots=True)
class RemovedRoom:
    """A room that is gone: who was put out of it, all the peers it had, and their files."""

    name: str
    version: int
    left: list[Left]
    peer_ids: tuple[str, ...]
    stored_names: tuple[str, ...]


def kick(session: Session, room_name: str, peer_id: str) -> Left:
    """Make a peer inactive, ending all its sessions; it may come back.

    Raises `RoomNotFound` or `PeerNotFound`.
    """
    version = peer_rows.version_where_known(session, room_name, peer_id)
    rooms.lock(session, room_name)
    recovery.withdraw_all(session, room_name, peer_id)
    left = _put_out(session, room_name, KICKED, Peer.peer_id == peer_id)
    if left:
        return left[0]
    version = _tell_why_away(session, room_name, peer_id, KICKED) or version
    return Left(room_name, peer_id, version, is_active=False)


def ban(
    session: Session, room_name: str, peer_id: str, seconds: float | None, reason: str
) -> tuple[Bar, list[Left]]:
    """Put a peer out and let it not come back for so many seconds, or until the ban is lifted.

    It need not have been there, and need not be there now: then nobody leaves.
    """
    bar = bans.ban(session, room_name, peer_id, seconds, reason)
    rooms.lock(session, room_name)
    lobbies.send_away(session, room_name, peer_id)
    recovery.withdraw_all(session, room_name, peer_id)
    left = _put_out(session, room_name, BANNED, Peer.peer_id == peer_id)
    if not left:
        _tell_why_away(session, room_name, peer_id, BANNED)
    return bar, left


def close_room(
    session: Session, room_name: str, seconds: float | None, reason: str
) -> tuple[Bar, list[Left]]:
    """Put everybody out of a room and let nobody in for so many seconds, or until it is reopened.

    The room need not exist.
    """
    bar = bans.close(session, room_name, seconds, reason)
    rooms.lock(session, room_name)
    lobbies.send_away(session, room_name)
    recovery.withdraw_room(session, room_name)
    return bar, _put_out(session, room_name, CLOSED)


def remove_room(session: Session, room_name: str) -> RemovedRoom:
    """Remove a room with all its peers, their files and their activity.

    The caller removes the files' bytes. Bans and closings stay: a room of that name may be made
    again, and begins with a later version. Raises `RoomNotFound`.
    """
    room = rooms.change(session, room_name)
    lobbies.send_away(session, room_name)
    recovery.withdraw_room(session, room_name)
    left = _put_out(session, room_name, REMOVED)
    room = replace(room, version=left[0].version) if left else room
    peer_row_ids = session.scalars(select(Peer.id).where(Peer.room_id == room.id)).all()
    erased = erasure.erase(session, room, peer_row_ids)
    room = rooms.change(session, room_name)
    held, last = session.execute(
        delete(Room)
        .where(Room.id == room.id)
        .returning(Room.file_bytes, Room.last_broadcast)
        .execution_options(synchronize_session=False)
    ).one()
    quotas.remove_room(session, max(room.version, last), held)
    outbox.tell(session, outbox.ROOM_REMOVED, room, clock.now(), reason="removed")
    at_the_end = [replace(item, version=room.version) for item in left]
    return RemovedRoom(room_name, room.version, at_the_end, erased.peer_ids, erased.stored_names)


def _tell_why_away(session: Session, room_name: str, peer_id: str, reason: str) -> int | None:
    """Let a peer that was away already, and might have come back, be away for another reason.

    Who is in a call with it learns only by that to end it: media need no connection to the server.
    Returns the room's version by it, or None where nothing is to be told.
    """
    try:
        room = rooms.change(session, room_name)
    except RoomNotFound:
        return None
    told = session.execute(
        update(Peer)
        .where(
            Peer.room_id == room.id,
            Peer.peer_id == peer_id,
            Peer.away_reason.in_(sessions.MAY_COME_BACK),
        )
        .values(away_reason=reason, changed_version=room.version)
        .returning(Peer.username)
        .execution_options(synchronize_session=False)
    ).first()
    if told is None:
        rooms.unchanged(session, room)
        return None
    outbox.tell_left(session, room, (peer_id, told.username), clock.now(), reason)
    return room.version


def _put_out(
    session: Session, room_name: str, reason: str, *conditions: ColumnElement[bool]
) -> list[Left]:
    """End the sessions in a room that meet the conditions; returns the leaving of each peer."""
    try:
        # Locked before looking: whoever joins meanwhile is found, or finds the ban.
        room = rooms.change(session, room_name)
    except RoomNotFound:
        return []
    ended = sessions.find(session, Room.name == room_name, *conditions)
    if not ended:
        rooms.unchanged(session, room)
        return []
    now = clock.now()
    sessions.close(session, ended, now, reason)
    activity.record_lost(session, room, {item.peer_row_id for item in ended}, now, reason)
    if reason != REMOVED:  # else whoever erases the peers does it
        occupancy.note(session, room, now)
    sids: dict[str, list[str]] = {item.peer_id: [] for item in ended}
    for item in ended:
        if item.sid is not None:
            sids[item.peer_id].append(item.sid)
    return [
        Left(room_name, peer_id, room.version, is_active=False, sids=tuple(own))
        for peer_id, own in sorted(sids.items())
    ]
