"""Changes of rooms that are told, and their way into the log, without a server."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from presence.domain.outbox import event_log, outbox
from presence.domain.outbox.outbox import Wanted
from presence.domain.permissions import room_patterns
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.setting_values import EVENT_TYPES
from presence.storage import database
from presence.storage.models import Room

HOOK = "h" * 32


def tell(session: Session, room: rooms.LockedRoom, **facts: Any) -> None:
    session.info[outbox.WANTED] = Wanted(
        frozenset(EVENT_TYPES), [room_patterns.parse("*")], lambda: None
    )
    outbox.tell(session, outbox.PEER_UPDATED, room, clock.now(), "ada", **facts)


def make_rooms(*names: str) -> None:
    with database.writing() as session:
        for name in names:
            session.execute(
                insert(Room).values(name=name, max_peers=10, created_at=clock.now(), version=0)
            )


def change(name: str) -> rooms.LockedRoom:
    with database.writing() as session:
        room = rooms.change(session, name)
        tell(session, room)
        return room


def order() -> int:
    with database.writing() as session:
        return event_log.put_in_order(session, [HOOK])[0]


def read(after: int, limit: int = 100) -> event_log.Page:
    with database.reading() as session:
        return event_log.read(session, after, limit)
