"""Occupancy: how many peers were active in a room, minute by minute, over the last hour."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, delete, func, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms.rooms import LockedRoom
from presence.domain.values import clock
from presence.storage.models import Occupancy, Peer, PeerSession, Room
from presence.storage.prepared import Prepared

MINUTES = 60
# How many notes a room gets on average before what is too long ago is forgotten.
_FORGET_EVERY = 16


@dataclass(frozen=True, slots=True)
class Minute:
    """The most peers that were active at once within a minute, and how many at its end."""

    peak: int
    last: int


def count_active(session: Session, room_id: int) -> int:
    """Count the active peers of a room."""
    (count,) = _COUNT.rows(session, of_room=room_id)[0]
    active: int = count
    return active


def note(session: Session, room: LockedRoom, at: datetime, active: int | None = None) -> None:
    """Note how many peers are active in a locked room now that it changed.

    To be called whenever sessions of its peers have begun or ended; counts them unless the caller
    knows. Backends are told of a room that nobody is active in any more.
    """
    if active is None:
        active = count_active(session, room.id)
    _KEEP.later(session, of_room=room.id, active=active)
    if room.active_peers and not active:
        outbox.tell(session, outbox.ROOM_EMPTIED, room, at)
    minute = _minute(at)
    _NOTE.later(session, of_room=room.id, in_minute=minute, active=active)
    # By chance, so that no room is left out; it costs as much as the rest.
    if random.randrange(_FORGET_EVERY) == 0:  # noqa: S311
        # The newest row from before the last hour says how that hour began.
        _FORGET_OLD.later(session, of_room=room.id, hour_ago=minute - MINUTES)


def last_hour(session: Session, room_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return, for each room, the peak of each of the last 60 minutes, the current one last."""
    ids = list(room_ids)
    now = _minute(clock.now())
    noted: dict[int, dict[int, Minute]] = {room_id: {} for room_id in ids}
    rows = session.execute(
        select(Occupancy.room_id, Occupancy.minute, Occupancy.peak, Occupancy.last)
        .where(Occupancy.room_id.in_(ids))
        .order_by(Occupancy.minute)
    )
    for room_id, minute, peak, last in rows:
        noted[room_id][minute] = Minute(peak, last)
    return {room_id: _hour(minutes, now) for room_id, minutes in noted.items()}


def _hour(noted: dict[int, Minute], now: int) -> list[int]:
    """Fill the minutes in which nothing changed with what the one before ended with."""
    first = now - MINUTES + 1
    level = 0
    for minute, value in noted.items():
        if minute < first:
            level = value.last
    hour = []
    for minute in range(first, now + 1):
        value = noted.get(minute, Minute(level, level))
        hour.append(max(level, value.peak))
        level = value.last
    return hour


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _noting(insert: Any) -> Any:
    statement = insert(Occupancy).values(
        room_id=bindparam("of_room"),
        minute=bindparam("in_minute"),
        peak=bindparam("active"),
        last=bindparam("active"),
    )
    now = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["room_id", "minute"],
        set_={
            "peak": case((Occupancy.peak < now.peak, now.peak), else_=Occupancy.peak),
            "last": now.last,
        },
    )


_COUNT = Prepared(
    select(func.count()).where(
        Peer.room_id == bindparam("of_room"), Peer.id.in_(select(PeerSession.peer_row_id))
    )
)
_KEEP = Prepared(
    update(Room).where(Room.id == bindparam("of_room")).values(active_peers=bindparam("active"))
)
_NOTE = Prepared(_noting)
_FORGET_OLD = Prepared(
    delete(Occupancy).where(
        Occupancy.room_id == bindparam("of_room"),
        Occupancy.minute
        < select(func.max(Occupancy.minute))
        .where(Occupancy.room_id == bindparam("of_room"), Occupancy.minute <= bindparam("hour_ago"))
        .scalar_subquery(),
    )
)
