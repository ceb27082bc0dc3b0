"""Occupancy: how many peers were active in a room, minute by minute, over the last hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from presence.domain import clock
from presence.storage.database import insert_or_update
from presence.storage.models import Occupancy, Peer, PeerSession

MINUTES = 60


@dataclass(frozen=True, slots=True)
class Minute:
    """The most peers that were active at once within a minute, and how many at its end."""

    peak: int
    last: int


def note(session: Session, room_id: int, at: datetime) -> None:
    """Note how many peers are active in a room now that it changed."""
    active = session.execute(
        select(func.count(PeerSession.peer_row_id.distinct()))
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .where(Peer.room_id == room_id)
    ).scalar_one()
    minute = _minute(at)
    insert_or_update(
        session,
        Occupancy,
        {"room_id": room_id, "minute": minute, "peak": active, "last": active},
        keys=["room_id", "minute"],
        change=lambda new: {
            "peak": case((Occupancy.peak < new.peak, new.peak), else_=Occupancy.peak),
            "last": new.last,
        },
    )
    # The newest row from before the last hour says how that hour began.
    before = (
        select(func.max(Occupancy.minute))
        .where(Occupancy.room_id == room_id, Occupancy.minute <= minute - MINUTES)
        .scalar_subquery()
    )
    session.execute(
        delete(Occupancy)
        .where(Occupancy.room_id == room_id, Occupancy.minute < before)
        .execution_options(synchronize_session=False)
    )


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
