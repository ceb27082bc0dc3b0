"""Peers: joining a room, leaving it, being looked up and being erased."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from presence.domain.peers import (
    entering,
    looks,
    passwords,
    peer_rows,
    recovery,
    sessions,
)
from presence.domain.peers.entering import Wanted
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Erased, Joined, Left
from presence.domain.peers.sessions import Ended, Presence, SocketPresence
from presence.domain.permissions import bans
from presence.domain.rooms import activity, erasure, occupancy, rooms
from presence.domain.rooms.erasure import NOBODY
from presence.domain.rooms.rooms import LockedRoom, Maker
from presence.domain.values import clock, user_data
from presence.errors import NotJoined, RoomFull
from presence.storage.models import Peer, PeerSession, Room


def join(
    session: Session,
    *,
    room_name: str,
    peer_id: str,
    username: str,
    new_data: dict[str, Any],
    presence: Presence,
    limits: Limits,
    maker: Maker | None = None,
    passed: str | None = None,
    enters: bool = True,
) -> Joined:
    """Make a peer active in a room, making room and peer when they are new.

    `new_data` is merged into what is stored and never wipes it. A socket is in one room at a time:
    whatever peer it stood for before is left in the same transaction, so that a refusal leaves
    everything as it was. A new peer may cost the room those longest away (see
    `Limits.max_kept_peers`). A room that is made counts against the `maker`, where there is one.
    `passed` is what a room's password was checked against (see `passwords`). Raises `RoomFull`,
    `RoomNotMade`, `TooManyRooms`, `TooManyRoomsMade`, `UserDataTooLarge`, `DatabaseFull`, `Banned`,
    `RoomClosed`, `passwords.Unchecked`, or
    `lobbies.MustWait` for one who `enters` no room with a lobby by itself.
    """
    now = clock.now()
    sid = presence.sid if isinstance(presence, SocketPresence) else None
    wanted = Wanted(
        room_name, peer_id, sid, limits.max_peers, limits.max_rooms, maker, limits.only_made_rooms
    )
    is_new = isinstance(presence, SocketPresence) and presence.is_new
    seen, locked, previous = entering.lock(session, wanted, now, is_new=is_new)
    room, peer = seen.room, seen.peer
    if limits.heeds_bans and seen.is_barred:
        # With the room locked, so that a ban cannot come between this look and the joining.
        bans.check_join(session, room_name, peer_id)
    entering.check(seen, previous, passed, now, is_proven=limits.heeds_bans, enters=enters)

    sessions.close(session, previous, now, sessions.LEFT)
    is_news = seen.any_expired and entering.forget_expired(session, room, now)
    if previous or is_news:
        peer = looks.find(session, room, peer_id)
    was_active = peer is not None and peer.session_count > 0
    # What the room has noted is right unless a session has just been ended.
    active = room.active_peers
    if previous or is_news or active >= room.max_peers:
        active = occupancy.count_active(session, room.id)
    if not was_active and active >= room.max_peers:
        raise RoomFull(room.name, room.max_peers)

    erased = NOBODY
    merged = user_data.merge(
        peer.user_data if peer else {}, new_data, max_bytes=limits.max_user_data_bytes
    )
    if limits.is_full:
        user_data.check_room_for(peer.user_data if peer else None, merged)
    suspended = peer_rows.suspended_sessions(session, peer)
    if (
        peer
        and suspended
        and not previous
        and not is_news
        and not entering.renews(presence, peer)
        and (username, merged) == (peer.username, peer.user_data)
    ):
        # Back within the grace, and as it was: the new session takes the lost one's place.
        sessions.close(session, suspended[:1], peer.last_seen, sessions.LOST)
        entering.begin_session(session, room, peer, presence, now)
        room = rooms.unchanged(session, room)
        of = (room.name, peer_id, username, room.version)
        return Joined(*of, left=None, is_news=False, grants=peer.grants)
    if peer:
        is_changed = bool(user_data.changed_keys(peer.user_data, merged))
        peer_rows.store(
            session,
            peer,
            room,
            now=now,
            username=username,
            user_data=merged if is_changed else None,
        )
        sessions.close(session, suspended, now, sessions.LOST)
        entering.begin_session(session, room, peer, presence, now)
    else:
        if limits.max_kept_peers and seen.peers >= limits.max_kept_peers:
            erased = erasure.make_place(session, room, limits.max_kept_peers)
        peer_rows.add(session, room, peer_id=peer_id, username=username, user_data=merged, now=now)
        sessions.start(session, room.id, peer_id, presence, now)

    own_id = peer.id if peer else None
    left = _left_by_joining(
        session, [item for item in previous if item.peer_row_id != own_id], locked, now
    )
    # A socket that joins once more as who it is already has not come anew.
    has_come = not was_active and own_id not in {item.peer_row_id for item in previous}
    who = {"peer_id": peer_id, "username": username, "user_data": merged}
    entering.note_joined(session, room, peer, who, now, has_come=has_come)
    occupancy.note(session, room, now, active if was_active else active + 1)
    change = None
    if not (previous or is_news or suspended or erased.peer_ids):
        change = entering.shown(session, seen, presence, who, now)
    joined = Joined(room.name, peer_id, username, room.version, left, erased=erased, change=change)
    return replace(joined, grants=peer.grants) if peer else joined


def resume(
    session: Session, secret: str, presence: SocketPresence, limits: Limits
) -> Joined | None:
    """Give a socket the place that a secret belongs to (see `recovery`), as it was left.

    The socket that held it before may not be known to be lost yet; its session ends. None if the
    secret is not good (any more). Raises `RoomFull`, `Banned` or `RoomClosed`.
    """
    place = recovery.find(session, secret)
    if place is None:
        return None
    rooms.lock(session, place.room_name)
    place = recovery.use(session, secret, presence.sid)
    if place is None:
        return None
    joined = join(
        session,
        room_name=place.room_name,
        peer_id=place.peer_id,
        username=place.username,
        new_data={},
        presence=presence,
        limits=limits,
        passed=passwords.UNASKED,
    )
    before = sessions.of_socket(session, place.sid)
    sessions.close(session, before, clock.now(), sessions.LOST)
    return replace(joined, replaced_sid=place.sid, change=None if before else joined.change)


def leave(session: Session, room_name: str, peer_id: str) -> Left:
    """Make a peer inactive, ending all its sessions. Leaving twice is no error.

    Raises `RoomNotFound` or `PeerNotFound`.
    """
    version = peer_rows.version_where_known(session, room_name, peer_id)
    rooms.lock(session, room_name)
    recovery.withdraw_all(session, room_name, peer_id)
    ended = peer_rows.sessions_of(session, room_name, peer_id)
    if not ended:
        return Left(room_name, peer_id, version, is_active=False)
    return _leave(session, rooms.change(session, room_name), peer_id, ended)


def leave_socket(session: Session, sid: str, in_room: str | None = None) -> Left:
    """Let the peer that a socket stands for leave its room, as it asked to; raises `NotJoined`.

    The socket's own session ends, and with it what an earlier REST join of the peer left behind;
    the peer stays active while another socket stands for it. `in_room` is where its process knows
    it to be.
    """
    if in_room is None:
        in_room = sessions.peer_of(session, sid)[0]
    rooms.change_soon(session, in_room)
    recovery.withdraw(session, sid)
    seen = looks.look_at_socket(session, sid)
    if seen is None or seen.room.name != in_room:
        raise NotJoined  # another took its place meanwhile
    room, peer = seen.room, seen.peer
    if not peer.rest_sessions:
        ended = sessions.end_seen(session, seen, sessions.LEFT)
        return Left(
            room.name, peer.peer_id, room.version, ended.is_active, (sid,), change=ended.change
        )
    own = [
        item
        for item in peer_rows.sessions_of(session, room.name, peer.peer_id)
        if item.sid is None or item.sid == sid
    ]
    return _leave(session, room, peer.peer_id, own)


def erase(session: Session, room_name: str, peer_id: str) -> Erased:
    """Delete a peer with its user data, sessions, secrets, activity and file rows.

    The caller removes the files' bytes. Raises `RoomNotFound` or `PeerNotFound`.
    """
    room = rooms.change(session, room_name)
    peer = peer_rows.get(session, room, peer_id)
    ended = peer_rows.sessions_of(session, room_name, peer_id)
    gone = erasure.erase(session, room, [peer.id])
    return Erased(room.name, peer_id, room.version, _sids(ended), gone.stored_names)


def is_active(session: Session, room_name: str, peer_id: str) -> bool:
    """Tell whether a peer is active; raises `RoomNotFound` or `PeerNotFound`."""
    peer_rows.version_where_known(session, room_name, peer_id)
    return bool(peer_rows.sessions_of(session, room_name, peer_id))


def sockets(session: Session, room_name: str, peer_id: str) -> list[tuple[str, str]]:
    """Return (sid, worker id) of every socket that stands for a peer, the newest last.

    Raises `RoomNotFound` or `PeerNotFound`.
    """
    peer_rows.version_where_known(session, room_name, peer_id)
    rows = session.execute(
        select(PeerSession.sid, PeerSession.worker_id)
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(Room.name == room_name, Peer.peer_id == peer_id, PeerSession.sid.is_not(None))
        .order_by(PeerSession.started_at, PeerSession.id)
    )
    return [(row.sid, row.worker_id) for row in rows]


def _leave(session: Session, room: LockedRoom, peer_id: str, ended: list[Ended]) -> Left:
    """End sessions of one peer because it leaves; it was last seen now, active or not."""
    now = clock.now()
    sessions.close(session, ended, now, sessions.LEFT)
    peer_row_id = ended[0].peer_row_id
    peer_rows.saw(session, peer_row_id, now)
    still_active = peer_rows.count_sessions(session, peer_row_id) > 0
    activity.record_lost(session, room, {peer_row_id}, now, sessions.LEFT)
    occupancy.note(session, room, now)
    return Left(room.name, peer_id, room.version, still_active, _sids(ended))


def _left_by_joining(
    session: Session, ended: list[Ended], locked: dict[str, LockedRoom], now: datetime
) -> Left | None:
    """Note that a socket which joined something else has left what it stood for."""
    left = None
    for item in ended:
        peer_rows.saw(session, item.peer_row_id, now)
        still_active = peer_rows.count_sessions(session, item.peer_row_id) > 0
        room = locked[item.room_name]
        left = Left(item.room_name, item.peer_id, room.version, still_active)
        activity.record_lost(session, room, {item.peer_row_id}, now, sessions.LEFT)
        occupancy.note(session, room, now)
    return left


def _sids(ended: list[Ended]) -> tuple[str, ...]:
    return tuple(item.sid for item in ended if item.sid is not None)
