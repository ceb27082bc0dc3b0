"""The data of a room: one object that all in it share, changed by the rules of user data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Text, bindparam, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.peers import peer_rows, sessions
from presence.domain.peers.limits import Limits
from presence.domain.rooms import quotas, rooms
from presence.domain.rooms.lists import Change
from presence.domain.rooms.quotas import Quotas
from presence.domain.values import clock, user_data
from presence.errors import RoomDataConflict, RoomDataTooLarge, RoomNotFound
from presence.storage.models import Room
from presence.storage.prepared import Prepared
from presence.storage.tables.room_data import RoomData


class Kept(NamedTuple):
    """The data of a room, as of the room's version at which it last changed, and who did it.

    A room that never had any has ``{}`` as of version 0.
    """

    version: int
    data: dict[str, Any]
    changed_by: str | None


# What a room has that never had any, and one that does not exist.
NOTHING = Kept(0, {}, None)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to change: keys to set and to remove, or everything replaced.

    With ``if_version`` only if the data has not changed since that version of the room.
    """

    new: dict[str, Any]
    remove: Iterable[str] = ()
    replace: bool = False
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class UpdatedRoom:
    """A room's data after an update; ``changed`` names the keys that differ from before.

    ``by`` is the peer who did it. ``change`` is None where nothing differs: the room then has the
    version that it had.
    """

    room_name: str
    room_data: dict[str, Any]
    changed: list[str]
    version: int
    by: str | None
    change: Change | None


def of(session: Session, room_name: str) -> Kept:
    """Return the data of a room; raises `RoomNotFound`."""
    row = _READ.row(session, room_name=room_name)
    if row is None:
        raise RoomNotFound(room_name)
    return Kept(row[0], orjson.loads(row[1] or "{}"), row[2])


def change_by_socket(
    session: Session, sid: str, wish: Wish, limits: Limits, allowed: Quotas
) -> UpdatedRoom:
    """Like `change`, of the room that a socket is in and by its peer; raises `NotJoined` too."""
    room_name, peer_id = sessions.peer_of(session, sid)
    return change(session, room_name, wish, limits, allowed, by=peer_id)


def change(
    session: Session,
    room_name: str,
    wish: Wish,
    limits: Limits,
    allowed: Quotas,
    *,
    by: str | None,
    renew_seconds: float | None = None,
) -> UpdatedRoom:
    """Change the data of a room in the name of one of its peers, or of a backend if that is None.

    `renew_seconds` renews the peer's REST session if it has one. Raises `RoomNotFound`,
    `PeerNotFound`, `RoomDataConflict`, `RoomDataTooLarge`, `RoomStorageFull`, `ServerStorageFull`
    or `DatabaseFull`.
    """
    now = clock.now()
    room = rooms.change(session, room_name)
    peer = None if by is None else peer_rows.get(session, room, by)
    kept = of(session, room.name)
    if wish.if_version is not None and kept.version > wish.if_version:
        raise RoomDataConflict(kept.data, kept.version)
    merged = user_data.merge(
        kept.data,
        wish.new,
        remove=wish.remove,
        replace=wish.replace,
        max_bytes=limits.max_user_data_bytes,
        too_large=RoomDataTooLarge,
    )
    changed = user_data.changed_keys(kept.data, merged)
    if peer is not None and renew_seconds is not None:
        sessions.renew(session, peer.id, renew_seconds, now)
    if not changed:
        room = rooms.unchanged(session, room)
        return UpdatedRoom(room.name, merged, [], room.version, by, None)
    if limits.is_full:
        user_data.check_room_for(kept.data, merged)
    text = user_data.json_of(merged)
    size = len(text.encode())
    before = len(user_data.json_of(kept.data).encode()) if kept.version else 0
    _STORE.later(session, of_room=room.id, text=text, size=size, who=by)
    _NOTE_VERSION.later(session, of_room=room.id, version=room.version)
    if peer is not None:
        peer_rows.saw(session, peer.id, now)
    facts = {"username": peer.username} if peer is not None else {}
    outbox.tell(
        session, outbox.ROOM_UPDATED, room, now, by, **facts, room_data=merged, changed=changed
    )
    # The server's row is locked last, and for as short as can be.
    if size != before:
        quotas.add_data(session, room.id, size - before, allowed)
    shown = () if peer is None else (peer.listed(session, last_seen=now),)
    made = Change(room.name, room.id, room.version - 1, room.version, shown, data=text)
    return UpdatedRoom(room.name, merged, changed, room.version, by, made)


_READ = Prepared(
    select(Room.data_version, RoomData.data, RoomData.changed_by)
    .outerjoin(RoomData, RoomData.room_id == Room.id)
    .where(Room.name == bindparam("room_name"))
)
_STORE = Prepared(
    lambda insert: _over(
        insert(RoomData).values(
            room_id=bindparam("of_room"),
            data=bindparam("text", type_=Text),
            size=bindparam("size"),
            changed_by=bindparam("who"),
        )
    )
)
_NOTE_VERSION = Prepared(
    update(Room).where(Room.id == bindparam("of_room")).values(data_version=bindparam("version"))
)


def _over(inserting: Any) -> Any:
    """Return an insert that puts the data over what the room has."""
    columns = ("data", "size", "changed_by")
    return inserting.on_conflict_do_update(
        index_elements=["room_id"],
        set_={name: inserting.excluded[name] for name in columns},
    )
