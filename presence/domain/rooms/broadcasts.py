"""Broadcasts that are kept for a while, so that whoever was away hears what was said meanwhile.

Their numbers rise by one in each room, in the order of the commits: the room's row is locked from
the giving of one to the end of the transaction. So whoever has heard all up to a number, and sees a
later one, can read what is between. What an erased peer said leaves a hole, and nothing is missing
by that; what went because there were too many, or too old ones, is noted in the room.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import String, Text, bindparam, case, delete, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.rooms import quotas
from presence.domain.rooms.quotas import Quotas
from presence.errors import RoomNotFound
from presence.storage.models import Room
from presence.storage.prepared import Prepared
from presence.storage.tables.broadcasts import Broadcast

# What a row takes beside its data, about: ids, numbers and a time.
_ROW_BYTES = 100
# Databases limit the values in one statement.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be kept: who says it, or None for a backend, and what, its data as JSON."""

    event: str
    data: str
    peer_id: str | None = None
    session: str | None = None
    name: str | None = None


class Kept(NamedTuple):
    """A broadcast that is kept; ``data`` is JSON."""

    number: int
    peer_id: str | None
    session: str | None
    name: str | None
    event: str
    data: str
    at: datetime


class Missed(NamedTuple):
    """What was said after a number: some of it, and whether there is ``more``.

    ``last`` is the newest number of the room, ``gone`` the newest of those that are kept no more:
    whoever asks from before that has missed something for good.
    """

    kept: tuple[Kept, ...]
    last: int
    gone: int
    more: bool = False


def keep(
    session: Session, room_name: str, said: Said, now: datetime, *, most: int, allowed: Quotas
) -> Kept:
    """Keep a broadcast of a room, which then has at most so many; the oldest go.

    Raises `RoomNotFound`, `RoomStorageFull` or `ServerStorageFull`.
    """
    row = _COUNT_UP.row(session, room_name=room_name)
    if row is None:
        raise RoomNotFound(room_name)
    room_id, number = row
    size = len(said.data.encode()) + _ROW_BYTES
    _ADD.later(
        session,
        of_room=room_id,
        number=number,
        who=said.peer_id,
        by_session=said.session,
        called=said.name,
        event=said.event,
        data=said.data,
        size=size,
        now=now,
    )
    freed = _forget_up_to(session, room_id, number - most)
    if size != freed:
        quotas.add_data(session, room_id, size - freed, allowed)
    return Kept(number, said.peer_id, said.session, said.name, said.event, said.data, now)


def since(session: Session, room_name: str, number: int, *, most: int, most_bytes: int) -> Missed:
    """Return what was said in a room after a number, so many at most; raises `RoomNotFound`.

    And so many bytes of data, but one in any case.
    """
    row = _STANDING.row(session, room_name=room_name)
    if row is None:
        raise RoomNotFound(room_name)
    room_id, last, gone = row
    if number >= last:
        return Missed((), last, gone)
    found = _SINCE.rows(session, of_room=room_id, number=number, most=most + 1)
    taken: list[Kept] = []
    size = 0
    for one in found[:most]:
        size += len(one[5])
        if taken and size > most_bytes:
            break
        taken.append(Kept(*one))
    return Missed(tuple(taken), last, gone, more=len(taken) < len(found))


def lasts(session: Session, room_names: Collection[str]) -> dict[str, int]:
    """Return the newest number of each of some rooms, by name."""
    names = list(room_names)
    found: dict[str, int] = {}
    for start in range(0, len(names), _BATCH):
        found.update(dict(_LASTS.rows(session, names=names[start : start + _BATCH])))
    return found


def forget_up_to(session: Session, room_name: str, number: int) -> None:
    """Keep nothing any more that a room has up to a number; nothing happens without the room."""
    row = _LOCK.row(session, room_name=room_name)
    if row is None:
        return
    freed = _forget_up_to(session, row[0], number)
    if freed:
        quotas.add_data(session, row[0], -freed, quotas.NO_QUOTAS)


def erase_of(session: Session, room_id: int, peer_ids: Sequence[str]) -> None:
    """Keep nothing any more that some peers of a locked room have said."""
    freed = 0
    for start in range(0, len(peer_ids), _BATCH):
        freed += _delete(session, room_id, Broadcast.peer_id.in_(peer_ids[start : start + _BATCH]))
    if freed:
        quotas.add_data(session, room_id, -freed, quotas.NO_QUOTAS)


def _forget_up_to(session: Session, room_id: int, number: int) -> int:
    """Delete all up to a number, and note it; return how many bytes that frees."""
    if number <= 0 or not _ANY_UP_TO.rows(session, of_room=room_id, number=number):
        return 0
    freed = _delete(session, room_id, Broadcast.number <= number)
    _NOTE_GONE.later(session, of_room=room_id, number=number)
    return freed


def _delete(session: Session, room_id: int, condition: Any) -> int:
    sizes = session.scalars(
        delete(Broadcast)
        .where(Broadcast.room_id == room_id, condition)
        .returning(Broadcast.size)
        .execution_options(synchronize_session=False)
    )
    return sum(sizes)


_COLUMNS = (
    Broadcast.number,
    Broadcast.peer_id,
    Broadcast.session,
    Broadcast.name,
    Broadcast.event,
    Broadcast.data,
    Broadcast.at,
)
_COUNT_UP = Prepared(
    update(Room)
    .where(Room.name == bindparam("room_name"))
    .values(last_broadcast=Room.last_broadcast + 1)
    .returning(Room.id, Room.last_broadcast)
)
_ADD = Prepared(
    insert(Broadcast).values(
        room_id=bindparam("of_room"),
        number=bindparam("number"),
        peer_id=bindparam("who", type_=String),
        session=bindparam("by_session", type_=String),
        name=bindparam("called", type_=String),
        event=bindparam("event"),
        data=bindparam("data", type_=Text),
        size=bindparam("size"),
        at=bindparam("now"),
    )
)
_STANDING = Prepared(
    select(Room.id, Room.last_broadcast, Room.gone_broadcast).where(
        Room.name == bindparam("room_name")
    )
)
_SINCE = Prepared(
    select(*_COLUMNS)
    .where(Broadcast.room_id == bindparam("of_room"), Broadcast.number > bindparam("number"))
    .order_by(Broadcast.number)
    .limit(bindparam("most"))
)
_LASTS = Prepared(
    select(Room.name, Room.last_broadcast).where(Room.name.in_(bindparam("names", expanding=True)))
)
_LOCK = Prepared(
    select(Room.id).where(Room.name == bindparam("room_name")).with_for_update(key_share=True)
)
_ANY_UP_TO = Prepared(
    select(Broadcast.id)
    .where(Broadcast.room_id == bindparam("of_room"), Broadcast.number <= bindparam("number"))
    .limit(1)
)
_NOTE_GONE = Prepared(
    update(Room)
    .where(Room.id == bindparam("of_room"))
    .values(
        gone_broadcast=case(
            (Room.gone_broadcast < bindparam("number"), bindparam("number")),
            else_=Room.gone_broadcast,
        )
    )
)
