"""The steps of a joining: the room is locked or made, the session begins, and what lists show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.peers import lobbies, looks, passwords, sessions
from presence.domain.peers.looks import PeerRow, Seen
from presence.domain.peers.sessions import Ended, Presence, RestPresence
from presence.domain.rooms import activity, quotas, rooms
from presence.domain.rooms.lists import Change, Head, ListedPeer
from presence.domain.rooms.rooms import LockedRoom, Maker
from presence.domain.values import user_data
from presence.errors import RoomNotFound, RoomNotMade
from presence.storage.instants import text_of_instant


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who joins which room, through which socket if any, and how the room is made if need be.

    With `only_made` it is not.
    """

    room_name: str
    peer_id: str
    sid: str | None
    max_peers: int
    max_rooms: int
    maker: Maker | None
    only_made: bool = False


def lock(
    session: Session, wanted: Wanted, now: datetime, *, is_new: bool
) -> tuple[Seen, dict[str, LockedRoom], list[Ended]]:
    """Lock the room, made where it does not exist, and look at the peer that joins.

    Returns also every room that is locked, by name, and what the socket has stood for so far: it
    is left, so its room is locked too. `is_new` says that there is probably nothing. Raises
    `TooManyRooms`, `TooManyRoomsMade` or `RoomNotMade`.
    """
    name, peer_id, sid = wanted.room_name, wanted.peer_id, wanted.sid
    previous = [] if sid is None or is_new else sessions.of_socket(session, sid)
    others = {item.room_name for item in previous} - {name}
    seen = None
    if not others:
        rooms.change_soon(session, name)
        seen = looks.look(session, name, peer_id, sid, now)
        if seen is None:
            if wanted.only_made:
                raise RoomNotMade(name)
            seen = _make(session, wanted, now)
    if seen is not None:
        locked = {name: seen.room}
    elif wanted.only_made:
        locked = _change_all(session, {name, *others}, name)
        seen = looks.look(session, name, peer_id, sid, now)
        assert seen is not None
    else:
        locked = rooms.change_or_make(
            session,
            {name, *others},
            wanted.max_peers,
            now,
            max_rooms=wanted.max_rooms,
            maker=wanted.maker,
        )
        seen = looks.look(session, name, peer_id, sid, now)
        assert seen is not None
    if sid is not None and seen.has_session and not previous:
        # It stands for somebody after all: what followed its last joining has failed.
        previous = sessions.of_socket(session, sid)
        for other in sorted({item.room_name for item in previous} - {name}):
            locked[other] = rooms.change(session, other)
    return seen, locked, previous


def _make(session: Session, wanted: Wanted, now: datetime) -> Seen | None:
    """Make the room, unless somebody else is faster, and look at it.

    None where it was there and is gone again. Raises `TooManyRooms` or `TooManyRoomsMade`.
    """
    maker = wanted.maker
    rooms.make_soon(session, wanted.room_name, wanted.max_peers, now, maker=maker)
    who = wanted.room_name, wanted.peer_id, wanted.sid
    found = looks.look_at_made(session, *who, now, maker=maker.name if maker else "")
    if found is None:
        return None
    seen, made = found
    if made.is_new:
        most = maker.max_rooms if maker else 0
        quotas.check_made(made.rooms, wanted.max_rooms, made.of_maker, most)
        rooms.settle_made(session, seen.room, now)
    return seen


def _change_all(session: Session, names: set[str], joined: str) -> dict[str, LockedRoom]:
    """Lock rooms that all exist; raises `RoomNotMade` for the one that is joined if it does not."""
    try:
        return {name: rooms.change(session, name) for name in sorted(names)}
    except RoomNotFound as missing:
        raise RoomNotMade(joined) from missing


def check(
    seen: Seen,
    previous: list[Ended],
    passed: str | None,
    now: datetime,
    *,
    is_proven: bool,
    enters: bool,
) -> None:
    """Raise `passwords.Unchecked` or `lobbies.MustWait` where a room asks for something."""
    passwords.check(seen, previous, passed, is_proven=is_proven)
    lobbies.check(seen, previous, now, enters=enters)


def renews(presence: Presence, peer: PeerRow) -> TypeGuard[RestPresence]:
    """Tell whether a peer gets no new session: it has at most one over REST, which is renewed."""
    return isinstance(presence, RestPresence) and peer.rest_sessions > 0


def begin_session(
    session: Session, room: LockedRoom, peer: PeerRow, presence: Presence, now: datetime
) -> None:
    """Let a peer be active, by one session more unless it `renews` one."""
    if renews(presence, peer):
        sessions.renew(session, peer.id, presence.seconds, now)
    else:
        sessions.start(session, room.id, peer.peer_id, presence, now)


def forget_expired(session: Session, room: LockedRoom, now: datetime) -> bool:
    """Free the places of REST sessions whose time is over but which nobody swept up yet.

    Returns whether there were any.
    """
    expired = sessions.expired_in(session, room.id, now)
    for reason, ended in sessions.by_reason(expired).items():
        sessions.close(session, ended, now, reason)
        lost = {item.peer_row_id for item in ended}
        activity.record_lost(session, room, lost, now, reason)
    return bool(expired)


def note_joined(
    session: Session,
    room: LockedRoom,
    peer: PeerRow | None,
    joined: dict[str, Any],
    now: datetime,
    *,
    has_come: bool,
) -> None:
    """Note that a peer has joined, or what changed of one that was here before, as `peer`.

    `joined` is as in `shown`. With `has_come` it was not active before.
    """
    peer_id, username, data = joined["peer_id"], joined["username"], joined["user_data"]
    if has_come:
        activity.record(
            session, room.id, activity.JOINED, peer_id=peer_id, username=username, at=now
        )
        facts = {"username": username, "user_data": data}
        outbox.tell(session, outbox.PEER_JOINED, room, now, peer_id, **facts)
    elif peer is not None:
        outbox.tell_changed(session, room, now, peer, (username, data))


def shown(
    session: Session, seen: Seen, presence: Presence, joined: dict[str, Any], now: datetime
) -> Change:
    """Return what a joining changed that ended no session and erased nobody.

    `joined` has ``peer_id``, ``username`` and ``user_data`` of who joined.
    """
    room, peer, head = seen.room, seen.peer, None
    if peer is not None:
        is_renewed = isinstance(presence, RestPresence) and peer.rest_sessions
        count = peer.session_count if is_renewed else peer.session_count + 1
        listed = peer.listed(session, **joined, last_seen=now, session_count=count)
    else:
        at, data = text_of_instant(now), user_data.json_of(joined["user_data"])
        listed = ListedPeer(joined["peer_id"], joined["username"], at, at, data, 1, None, None, ())
        if not seen.peers:
            head = Head(room.id, room.name, room.max_peers, seen.created_at, room.version)
    return Change(room.name, room.id, room.version - 1, room.version, (listed,), head)
