"""Quotas: how much a peer, a room and the server may keep.

They are checked within the transaction that adds something. What a room and the server hold is
counted beside them, so that no upload has to add up a large table; a peer's own files are few.
Rooms are locked before the server's row, always, so that no two transactions wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ScalarSelect, bindparam, case, exists, func, select, update
from sqlalchemy.orm import Session

from presence.errors import (
    PeerNotFound,
    PeerStorageFull,
    QuotaExceeded,
    RoomNotFound,
    RoomStorageFull,
    ServerStorageFull,
    TooManyFiles,
    TooManyRooms,
    TooManyRoomsMade,
)
from presence.storage.models import File, Peer, PeerSession, Room, Usage
from presence.storage.prepared import Prepared
from presence.storage.tables.broadcasts import Broadcast
from presence.storage.tables.room_data import RoomData


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much may be kept, in files and bytes; 0 for any amount."""

    files_per_peer: int = 0
    bytes_per_peer: int = 0
    bytes_per_room: int = 0
    bytes_total: int = 0


NO_QUOTAS = Quotas()

# What the broadcasts of a room are counted from while a transaction is making it.
BEING_MADE = -1
IS_BEING_MADE = Room.last_broadcast == BEING_MADE
# What a room that is made begins with.
FIRST_VERSION = select(Usage.first_version).scalar_subquery()


def check(session: Session, room_name: str, peer_id: str, size: int, quotas: Quotas) -> None:
    """Raise the quota that a file of `size` bytes would exceed, if it came now.

    To be asked before its bytes are taken; `add_file` decides. Raises `RoomNotFound` and
    `PeerNotFound` too.
    """
    room = session.execute(
        select(Room.id, Room.file_bytes).where(Room.name == room_name)
    ).one_or_none()
    if room is None:
        raise RoomNotFound(room_name)
    peer_row_id = session.scalar(
        select(Peer.id).where(Peer.room_id == room.id, Peer.peer_id == peer_id)
    )
    if peer_row_id is None:
        raise PeerNotFound(room_name, peer_id)
    _check_peer(session, peer_row_id, size, quotas)
    _hold(room.file_bytes + size, quotas.bytes_per_room, RoomStorageFull)
    check_server(session, size, quotas)


def check_server(session: Session, size: int, quotas: Quotas) -> None:
    """Raise `ServerStorageFull` if `size` bytes more would exceed what the server may keep."""
    if quotas.bytes_total:
        used = session.execute(select(Usage.file_bytes)).scalar_one()
        _hold(used + size, quotas.bytes_total, ServerStorageFull)


def add_file(session: Session, room_id: int, peer_row_id: int, size: int, quotas: Quotas) -> None:
    """Count a file that a peer of a locked room gets; raises the quota that it would exceed."""
    _check_peer(session, peer_row_id, size, quotas)
    in_room = _change(session, Room.id == room_id, Room, size)
    _hold(in_room, quotas.bytes_per_room, RoomStorageFull)
    _hold(_change(session, Usage.id == 1, Usage, size), quotas.bytes_total, ServerStorageFull)


def add_data(session: Session, room_id: int, size: int, quotas: Quotas) -> None:
    """Count that a locked room keeps `size` bytes more beside its files, or less if negative.

    Raises `RoomStorageFull` or `ServerStorageFull`; having less is always possible.
    """
    in_room = _change(session, Room.id == room_id, Room, size)
    in_all = _change(session, Usage.id == 1, Usage, size)
    if size > 0:
        _hold(in_room, quotas.bytes_per_room, RoomStorageFull)
        _hold(in_all, quotas.bytes_total, ServerStorageFull)


def remove_files(session: Session, room_id: int, size: int) -> None:
    """Count that files of `size` bytes together are gone from a locked room."""
    _change(session, Room.id == room_id, Room, -size)
    _change(session, Usage.id == 1, Usage, -size)


def add_rooms(session: Session, number: int, max_rooms: int) -> int:
    """Count rooms that are about to be made, and return the version they begin with.

    Raises `TooManyRooms`.
    """
    ((rooms, first_version),) = _ADD_ROOMS.rows(session, number=number)
    _hold(rooms, max_rooms, TooManyRooms)
    first: int = first_version
    return first


def add_room_soon(session: Session, room_name: str) -> None:
    """Count a room if this transaction is making it, with the next that is asked."""
    _ADD_ROOM.later(session, room_name=room_name)


def check_made(rooms: int, max_rooms: int, of_maker: int, max_of_maker: int) -> None:
    """Raise `TooManyRooms` or `TooManyRoomsMade` where there are too many with one just made."""
    _hold(rooms, max_rooms, TooManyRooms)
    _hold(of_maker, max_of_maker, TooManyRoomsMade)


def check_maker(session: Session, maker: str, max_rooms: int) -> None:
    """Raise `TooManyRoomsMade` if somebody has made too many.

    Called after `add_rooms`, which lets one transaction count at a time.
    """
    made = session.scalar(select(func.count(Room.id)).where(Room.made_by == maker)) or 0
    _hold(made, max_rooms, TooManyRoomsMade)


def remove_room(session: Session, version: int, size: int) -> None:
    """Count that a room is gone with `size` bytes of its own, which had come to this version.

    Or to this number of its broadcasts, if that is higher. Whoever still has its last list must not
    take that of a room made anew for an earlier one.
    """
    session.execute(
        update(Usage)
        .values(
            rooms=Usage.rooms - 1,
            file_bytes=Usage.file_bytes - size,
            first_version=case((Usage.first_version < version, version), else_=Usage.first_version),
        )
        .execution_options(synchronize_session=False)
    )


def is_miscounted(session: Session) -> bool:
    """Tell whether what is counted differs from what is there: a fault, or a hand in the database.

    Adds up all files, so it is nothing for a write transaction.
    """
    rooms, file_bytes = session.execute(select(Usage.rooms, Usage.file_bytes)).one()
    if (rooms, file_bytes) != session.execute(select(_all_rooms(), _all_bytes())).one():
        return True
    wrong = (Room.file_bytes != _room_bytes()) | (Room.active_peers != _room_active())
    return session.scalar(select(Room.id).where(wrong).limit(1)) is not None


def recount(session: Session) -> None:
    """Count everything anew."""
    for column, counted in ((Room.file_bytes, _room_bytes()), (Room.active_peers, _room_active())):
        session.execute(
            update(Room)
            .where(column != counted)
            .values({column: counted})
            .execution_options(synchronize_session=False)
        )
    session.execute(
        update(Usage)
        .values(rooms=_all_rooms(), file_bytes=_all_bytes())
        .execution_options(synchronize_session=False)
    )


def _room_bytes() -> Any:
    of_files = (
        select(func.coalesce(func.sum(File.size), 0))
        .join(Peer, Peer.id == File.peer_row_id)
        .where(Peer.room_id == Room.id)
        .correlate(Room)
        .scalar_subquery()
    )
    beside = [
        select(func.coalesce(func.sum(table.size), 0))
        .where(table.room_id == Room.id)
        .correlate(Room)
        .scalar_subquery()
        for table in (RoomData, Broadcast)
    ]
    return of_files + beside[0] + beside[1]


def _room_active() -> ScalarSelect[Any]:
    return (
        select(func.count())
        .select_from(Peer)
        .where(Peer.room_id == Room.id, Peer.id.in_(select(PeerSession.peer_row_id)))
        .correlate(Room)
        .scalar_subquery()
    )


def _all_rooms() -> ScalarSelect[Any]:
    return select(func.count(Room.id)).scalar_subquery()


def _all_bytes() -> Any:
    files, data, said = (
        select(func.coalesce(func.sum(table.size), 0)).scalar_subquery()
        for table in (File, RoomData, Broadcast)
    )
    return files + data + said


def _check_peer(session: Session, peer_row_id: int, size: int, quotas: Quotas) -> None:
    if not (quotas.files_per_peer or quotas.bytes_per_peer):
        return
    files, used = session.execute(
        select(func.count(), func.coalesce(func.sum(File.size), 0)).where(
            File.peer_row_id == peer_row_id
        )
    ).one()
    _hold(files + 1, quotas.files_per_peer, TooManyFiles)
    _hold(used + size, quotas.bytes_per_peer, PeerStorageFull)


def _change(session: Session, condition: Any, model: type[Room] | type[Usage], size: int) -> int:
    """Add to the bytes that a room or the server holds; return what it holds then."""
    held: int = session.execute(
        update(model)
        .where(condition)
        .values(file_bytes=model.file_bytes + size)
        .returning(model.file_bytes)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    return held


def _hold(wanted: int, limit: int, exceeded: type[QuotaExceeded]) -> None:
    if limit and wanted > limit:
        raise exceeded(limit)


_ADD_ROOMS = Prepared(
    update(Usage)
    .values(rooms=Usage.rooms + bindparam("number"))
    .returning(Usage.rooms, Usage.first_version)
)
_ADD_ROOM = Prepared(
    update(Usage)
    .where(exists().where(Room.name == bindparam("room_name"), IS_BEING_MADE))
    .values(rooms=Usage.rooms + 1)
)
