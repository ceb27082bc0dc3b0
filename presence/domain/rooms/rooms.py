"""Rooms: making them, changing them one transaction at a time, and what they show."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms import quotas
from presence.errors import RoomNotFound
from presence.storage.database import insert_if_missing
from presence.storage.models import File, Peer, PeerSession, Room
from presence.storage.prepared import ChangedHere, Prepared

# Databases limit the values in one statement.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class LockedRoom:
    """A room that this transaction is changing, with the version the change gives it.

    ``active_peers`` is how many were active before. ``is_new`` says that `change_or_make` made it.
    """

    id: int
    name: str
    max_peers: int
    version: int
    active_peers: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Maker:
    """Against whom a room is counted that is made, and how many that one may have made."""

    name: str
    max_rooms: int


@dataclass(slots=True)
class PeerView:
    """What a list shows of a peer; ``files`` are stored names, oldest first.

    ``changed_version`` is the room's version when any of it changed last.
    """

    peer_id: str
    username: str
    joined_at: datetime
    last_seen: datetime
    user_data: dict[str, Any]
    session_count: int
    away_reason: str | None = None
    grants: str | None = None
    changed_version: int = 0
    files: list[str] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """A peer is active exactly while it has a session."""
        return self.session_count > 0


@dataclass(slots=True)
class RoomView:
    """What a list shows of a room; peers are ordered by joined_at, then peer_id."""

    name: str
    max_peers: int
    created_at: datetime
    version: int
    peers: list[PeerView] = field(default_factory=list)

    @property
    def active_peers(self) -> int:
        """How many peers are active: the number that capacity counts."""
        return sum(peer.is_active for peer in self.peers)


def change(session: Session, name: str) -> LockedRoom:
    """Raise the room's version, and so lock it until the transaction ends.

    Every change of what a room shows begins here: one change at a time, each with its own version.
    Raises `RoomNotFound`.
    """
    row = _CHANGE.row(session, room_name=name)
    if row is None:
        raise RoomNotFound(name)
    return LockedRoom(*row)


def change_soon(session: Session, name: str) -> None:
    """Like `change`, with the next that is asked of the database, which sees what came of it."""
    _CHANGE.later(session, room_name=name)


def lock(session: Session, name: str) -> None:
    """Lock a room until the transaction ends, without a change; nothing if there is none.

    For transactions that touch secrets (see `recovery`) before they know whether they change the
    room: all lock the room first, or two of them could wait for each other for ever.
    """
    _LOCK.later(session, room_name=name)


def change_or_make(
    session: Session,
    names: Iterable[str],
    max_peers: int,
    now: datetime,
    *,
    max_rooms: int = 0,
    maker: Maker | None = None,
) -> dict[str, LockedRoom]:
    """Like `change` for several rooms, but make those that do not exist, with `max_peers` places.

    Returns the rooms by name. They are locked in the order of their names: two transactions that
    lock the same ones would otherwise wait for each other for ever. Raises `TooManyRooms` when
    there would be more than `max_rooms` (0 for any number), and `TooManyRoomsMade` when the `maker`
    would have made more than it may.
    """
    locked: dict[str, LockedRoom] = {}
    missing = []
    for name in sorted(set(names)):
        try:
            locked[name] = change(session, name)
        except RoomNotFound:
            missing.append(name)
    made = []
    for name in missing:
        values = {"name": name, "max_peers": max_peers, "created_at": now, "version": 0}
        while name not in locked:
            is_made = insert_if_missing(
                session, Room, {**values, "made_by": maker.name if maker else None}
            )
            # Where somebody else has made it between the two looks it may even be gone again.
            with suppress(RoomNotFound):
                locked[name] = change(session, name)
        if is_made:
            made.append(name)
    if made:
        # Counted last, as whoever removes a room does: the other way round two would wait for each
        # other.
        first_version = quotas.add_rooms(session, len(made), max_rooms)
        if maker is not None:
            quotas.check_maker(session, maker.name, maker.max_rooms)
    for name in made:
        locked[name] = replace(locked[name], version=first_version + 1, is_new=True)
        session.execute(
            update(Room)
            .where(Room.id == locked[name].id)
            .values(
                version=first_version + 1,
                last_broadcast=first_version,
                gone_broadcast=first_version,
            )
            .execution_options(synchronize_session=False)
        )
        told_made(session, locked[name], now)
    return locked


def make_soon(
    session: Session, name: str, max_peers: int, now: datetime, *, maker: Maker | None
) -> None:
    """Make a room where there is none, with the next that is asked of the database; change it.

    A room that is still being made then (`quotas.IS_BEING_MADE`) was made by this transaction, and
    is counted; it is to be settled (`settle_made`) once it is known that it may be there. It is
    locked before it is counted, as rooms always are.
    """
    made_by = maker.name if maker else None
    _MAKE.later(session, room_name=name, places=max_peers, now=now, maker=made_by)
    change_soon(session, name)
    quotas.add_room_soon(session, name)
    _BEGIN.later(session, room_name=name)


def settle_made(session: Session, room: LockedRoom, now: datetime) -> None:
    """Let a room that `make_soon` has made be one like all others, and tell backends of it."""
    _SETTLE.later(session, room_id=room.id)
    told_made(session, room, now)


def told_made(session: Session, room: LockedRoom, now: datetime) -> None:
    """Tell backends of a room that this transaction has made."""
    outbox.tell(session, outbox.ROOM_MADE, room, now, max_peers=room.max_peers)


def identify(session: Session, name: str) -> tuple[int, int]:
    """Return a room's row id and its version; raises `RoomNotFound`."""
    row = _IDENTIFY.row(session, room_name=name)
    if row is None:
        raise RoomNotFound(name)
    return row[0], row[1]


def unchanged(session: Session, room: LockedRoom) -> LockedRoom:
    """Take back the version that `change` gave a room, because nothing that it shows is new."""
    _TAKE_BACK.later(session, room_id=room.id)
    return replace(room, version=room.version - 1)


def take_back(session: Session, name: str) -> None:
    """Like `unchanged`, of a room of which only the name is known; nothing if it is not changed."""
    _TAKE_BACK_BY_NAME.later(session, room_name=name)


def versions(session: Session, names: Collection[str]) -> dict[str, int]:
    """Return the version of each of some rooms that exist, by name."""
    found: dict[str, int] = {}
    ordered = list(names)
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        found.update(_VERSIONS.rows(session, names=batch))
    return found


def view(session: Session, name: str, only: str | None = None) -> RoomView:
    """Return what the room shows, of all its peers or `only` of one; raises `RoomNotFound`."""
    room = session.execute(
        select(Room.id, Room.name, Room.max_peers, Room.created_at, Room.version).where(
            Room.name == name
        )
    ).one_or_none()
    if room is None:
        raise RoomNotFound(name)
    peers = select(
        Peer.id,
        Peer.peer_id,
        Peer.username,
        Peer.joined_at,
        Peer.last_seen,
        Peer.user_data,
        select(func.count()).where(PeerSession.peer_row_id == Peer.id).scalar_subquery(),
        Peer.away_reason,
        Peer.grants,
        Peer.changed_version,
    ).where(Peer.room_id == room.id)
    files = (
        select(File.peer_row_id, File.stored_name)
        .join(Peer, Peer.id == File.peer_row_id)
        .where(Peer.room_id == room.id)
    )
    if only is not None:
        peers = peers.where(Peer.peer_id == only)
        files = files.where(Peer.peer_id == only)
    views = {
        row.id: PeerView(*row[1:])
        for row in session.execute(peers.order_by(Peer.joined_at, Peer.peer_id))
    }
    for peer_row_id, stored_name in session.execute(files.order_by(File.uploaded_at, File.id)):
        views[peer_row_id].files.append(stored_name)
    return RoomView(*room[1:], peers=list(views.values()))


# The version that the change under way gives the room of a peer: what `Peer.changed_version` is set
# to with everything that a list shows of the peer.
VERSION_OF_PEER = select(Room.version).where(Room.id == Peer.room_id).scalar_subquery()

_CHANGE = Prepared(
    update(Room)
    .where(Room.name == bindparam("room_name"))
    .values(version=Room.version + 1)
    .returning(Room.id, Room.name, Room.max_peers, Room.version, Room.active_peers)
)
_VERSIONS = Prepared(
    select(Room.name, Room.version).where(Room.name.in_(bindparam("names", expanding=True)))
)
_MAKE = Prepared(
    lambda insert: (
        insert(Room)
        .values(
            name=bindparam("room_name"),
            max_peers=bindparam("places"),
            created_at=bindparam("now"),
            version=0,
            last_broadcast=quotas.BEING_MADE,
            made_by=bindparam("maker"),
        )
        .on_conflict_do_nothing()
    )
)
_BEGIN = Prepared(
    update(Room)
    .where(Room.name == bindparam("room_name"), quotas.IS_BEING_MADE)
    .values(version=quotas.FIRST_VERSION + 1)
)
_SETTLE = Prepared(
    update(Room)
    .where(Room.id == bindparam("room_id"))
    .values(last_broadcast=Room.version - 1, gone_broadcast=Room.version - 1)
)
# As strongly as an update does; SQLite locks all there is when the transaction begins.
_LOCK = Prepared(
    select(Room.id).where(Room.name == bindparam("room_name")).with_for_update(key_share=True)
)
_TAKE_BACK = Prepared(
    update(Room).where(Room.id == bindparam("room_id")).values(version=Room.version - 1)
)
_TAKE_BACK_BY_NAME = Prepared(
    update(Room)
    .where(Room.name == bindparam("room_name"), ChangedHere(Room.__tablename__))
    .values(version=Room.version - 1)
)
_IDENTIFY = Prepared(select(Room.id, Room.version).where(Room.name == bindparam("room_name")))
