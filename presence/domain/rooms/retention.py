"""Retention: what has been kept for long enough, found piece by piece and removed room by room.

The tables are walked in the order of their row ids, a window at a time, so that looking for what
is overdue never holds up a large server, and needs no index that every update would have to keep.
What a window shows is looked at again in the transaction that removes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, delete, exists, func, select
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms import erasure, quotas, rooms
from presence.domain.rooms.erasure import ErasedPeers
from presence.domain.values import clock
from presence.errors import RoomNotFound
from presence.storage.models import Activity, File, Peer, PeerSession, Room
from presence.storage.prepared import Prepared
from presence.storage.tables.broadcasts import Broadcast

# Rows that are looked at in one go: about a millisecond.
WINDOW = 500
# Rooms whose peers are counted in one go.
_ROOMS = 20


@dataclass(frozen=True, slots=True)
class Rules:
    """How long things stay, and how many peers in a room; None and 0 say for ever, and any."""

    inactive_peers: timedelta | None = None
    empty_rooms: timedelta | None = None
    files: timedelta | None = None
    activity: timedelta | None = None
    kept_peers: int = 0
    broadcasts: timedelta | None = None


class Window(NamedTuple):
    """What is overdue among some rows; ``last`` is the last row's id, None at the table's end."""

    overdue: Sequence[Any]
    last: int | None


def overdue_peers(session: Session, rules: Rules, after: int) -> Window:
    """Find peers inactive for too long, as (room name, row id)."""
    of_rooms = bool(_OWN_RULE.rows(session))
    if rules.inactive_peers is None and not of_rooms:
        return _NOTHING
    query = (
        select(Room.name, Peer.id, Peer.last_seen, Room.keep_inactive)
        .join(Room, Room.id == Peer.room_id)
        .order_by(Room.name)
    )
    # A room's own time is added to no column: databases do that in as many ways as there are.
    away = _long_away(rules.inactive_peers or _EVER)
    if of_rooms:
        away |= Room.keep_inactive.is_not(None) & _long_away(timedelta())
    found, last = _window(session, query, Peer, away, after)
    now = clock.now()
    overdue = [row[:2] for row in found if row[2] <= now - _kept_away(rules.inactive_peers, row[3])]
    return Window(overdue, last)


def crowded_rooms(session: Session, rules: Rules, after: int) -> Window:
    """Find rooms that keep more peers than they should, as (name, peers too many, inactive)."""
    if not rules.kept_peers:
        return _NOTHING
    # Prepared, since this rule is the only one that holds by itself: it runs every second.
    ((last,),) = _NEXT_ROOMS.rows(session, after=after)
    if last is None:
        return _NOTHING
    return Window(_CROWDED.rows(session, kept=rules.kept_peers, after=after, last=last), last)


def overdue_files(session: Session, rules: Rules, after: int) -> Window:
    """Find files kept for too long, as (room name, stored name)."""
    if rules.files is None:
        return _NOTHING
    query = (
        select(Room.name, File.stored_name)
        .join(Peer, Peer.id == File.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
    )
    return _window(session, query, File, File.uploaded_at <= clock.now() - rules.files, after)


def overdue_rooms(session: Session, rules: Rules, after: int) -> Window:
    """Find rooms without any peer for too long, as (name,)."""
    if rules.empty_rooms is None:
        return _NOTHING
    return _window(session, select(Room.name), Room, _long_empty(rules.empty_rooms), after)


def overdue_activity(session: Session, rules: Rules, after: int) -> Window:
    """Find what happened too long ago, as (row id,)."""
    if rules.activity is None:
        return _NOTHING
    overdue = Activity.at <= clock.now() - rules.activity
    return _window(session, select(Activity.id), Activity, overdue, after)


def overdue_broadcasts(session: Session, rules: Rules, after: int) -> Window:
    """Find broadcasts kept for too long, as (room name, number)."""
    if rules.broadcasts is None:
        return _NOTHING
    query = select(Room.name, Broadcast.number).join(Room, Room.id == Broadcast.room_id)
    return _window(session, query, Broadcast, Broadcast.at <= clock.now() - rules.broadcasts, after)


def erase_peers(
    session: Session, rules: Rules, room_name: str, row_ids: Sequence[int]
) -> ErasedPeers:
    """Erase those of some peers of a room who still are inactive for too long."""
    try:
        room = rooms.change(session, room_name)
    except RoomNotFound:
        return erasure.NOBODY
    own = session.scalar(select(Room.keep_inactive).where(Room.id == room.id))
    kept = _kept_away(rules.inactive_peers, own)
    still = session.scalars(
        select(Peer.id).where(Peer.room_id == room.id, Peer.id.in_(row_ids), _long_away(kept))
    ).all()
    return _erase(session, room, still)


def erase_crowd(session: Session, rules: Rules, room_name: str) -> ErasedPeers:
    """Erase those longest away from a room that keeps more peers than it should, a few at a time.

    To be called until it erases nobody.
    """
    try:
        room = rooms.change(session, room_name)
    except RoomNotFound:
        return erasure.NOBODY
    return _erase(session, room, erasure.longest_away(session, room, rules.kept_peers))


def remove_room(session: Session, rules: Rules, room_name: str) -> int | None:
    """Remove a room, with its activity, if it still is without any peer for too long.

    Returns the version that it had come to, or None if it stays.
    """
    assert rules.empty_rooms is not None
    try:
        room = rooms.change(session, room_name)
    except RoomNotFound:
        return None
    held = session.execute(
        delete(Room)
        .where(Room.id == room.id, _long_empty(rules.empty_rooms))
        .returning(Room.file_bytes, Room.last_broadcast)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if held is None:
        rooms.unchanged(session, room)
        return None
    quotas.remove_room(session, max(room.version, held.last_broadcast), held.file_bytes)
    outbox.tell(session, outbox.ROOM_REMOVED, room, clock.now(), reason="empty")
    return room.version


def forget_activity(session: Session, row_ids: Sequence[int]) -> None:
    """Delete entries of the activity."""
    session.execute(
        delete(Activity)
        .where(Activity.id.in_(row_ids))
        .execution_options(synchronize_session=False)
    )


def _erase(session: Session, room: rooms.LockedRoom, row_ids: Sequence[int]) -> ErasedPeers:
    if not row_ids:
        rooms.unchanged(session, room)
    return erasure.erase(session, room, row_ids)


def _kept_away(rule: timedelta | None, own: int | None) -> timedelta:
    """Return for how long a room keeps peers that are away: the shorter of both times."""
    kept = _EVER if own is None else timedelta(seconds=own)
    return kept if rule is None else min(kept, rule)


def _long_away(longer_than: timedelta) -> ColumnElement[bool]:
    return (Peer.last_seen <= clock.now() - longer_than) & ~exists().where(
        PeerSession.peer_row_id == Peer.id
    )


def _long_empty(longer_than: timedelta) -> ColumnElement[bool]:
    return (
        (Room.empty_since <= clock.now() - longer_than)
        & Room.is_made.is_(False)
        & ~exists().where(Peer.room_id == Room.id)
    )


def _window(
    session: Session,
    query: Select[*tuple[Any, ...]],
    model: Any,
    overdue: ColumnElement[bool],
    after: int,
) -> Window:
    """Run a query over the next rows of a table, keeping to those that are overdue."""
    last = session.scalar(_last_of_window(model, after, WINDOW))
    if last is None:
        return _NOTHING
    found = session.execute(query.where(model.id > after, model.id <= last, overdue)).all()
    return Window(found, last)


def _last_of_window(model: Any, after: Any, size: int) -> Select[int | None]:
    """Select the id of the last of the next rows of a table; None at its end."""
    ids = select(model.id).where(model.id > after).order_by(model.id).limit(size).subquery()
    return select(func.max(ids.c.id))


def _crowded() -> Select[str, int, int]:
    peers = select(func.count(Peer.id)).where(Peer.room_id == Room.id)
    inactive = peers.where(~exists().where(PeerSession.peer_row_id == Peer.id)).scalar_subquery()
    excess = peers.scalar_subquery() - bindparam("kept", type_=Integer)
    return select(Room.name, excess, inactive).where(
        Room.id > bindparam("after"), Room.id <= bindparam("last"), excess > 0, inactive > 0
    )


_NOTHING = Window((), None)
# Longer than anything was kept yet, and short enough for a date.
_EVER = timedelta(days=365 * 1000)
_OWN_RULE = Prepared(select(Room.id).where(Room.keep_inactive.is_not(None)).limit(1))
_NEXT_ROOMS = Prepared(_last_of_window(Room, bindparam("after"), _ROOMS))
_CROWDED = Prepared(_crowded())
