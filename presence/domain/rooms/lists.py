"""What the lists of rooms show, read as text, and only of the peers that changed since a version.

`rooms.view` is the same with every value parsed, for those who look into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, select
from sqlalchemy.orm import Session

from presence.errors import RoomNotFound
from presence.storage.instants import instant_text
from presence.storage.models import File, Peer, PeerSession, Room
from presence.storage.prepared import Prepared, Row
from presence.storage.tables.room_data import RoomData

# Of rooms that never were at this version, everything has changed since.
NEVER = -1
# Databases limit the values in one statement.
_BATCH = 1_000


class Head(NamedTuple):
    """A room without its peers.

    ``data_version`` says when its data last changed, 0 that it never had any.
    """

    id: int
    name: str
    max_peers: int
    created_at: str
    version: int
    data_version: int = 0


class ListedPeer(NamedTuple):
    """What a list shows of a peer; ``user_data`` is JSON, ``files`` are stored names, oldest first.

    ``grants`` are what an admin lets it do, None for what its token says. Times are text (see
    `instant_text`). Lists are ordered by ``joined_at``, then ``peer_id``.
    """

    peer_id: str
    username: str
    joined_at: str
    last_seen: str
    user_data: str
    session_count: int
    away_reason: str | None
    grants: str | None
    files: tuple[str, ...]


class Change(NamedTuple):
    """What one transaction changed of a room, to be put over its list as of ``previous_version``.

    ``peers`` are those that it touched, as the list shows them at ``version``. ``head`` is given
    where they are all that a room has which was just made. ``data`` is the room's own as JSON,
    where that was changed.
    """

    room_name: str
    room_id: int
    previous_version: int
    version: int
    peers: tuple[ListedPeer, ...]
    head: Head | None = None
    data: str | None = None


class Known(NamedTuple):
    """A peer as somebody remembers it, who knows that it was so at a version of its room."""

    peer: ListedPeer
    version: int


class Totals(NamedTuple):
    """What differs whenever the list of all rooms shows something else."""

    rooms: int
    versions: int
    newest: str | None
    last_id: int | None


def head(session: Session, room_name: str) -> Head:
    """Return a room; raises `RoomNotFound`."""
    row = _HEAD.row(session, room_name=room_name)
    if row is None:
        raise RoomNotFound(room_name)
    return Head(*row)


def heads(session: Session) -> list[Head]:
    """Return every room, by name."""
    return [Head(*row) for row in _HEADS.rows(session)]


def page(
    session: Session,
    *,
    prefix: str,
    active: bool | None,
    after: str | None,
    limit: int,
    only: ColumnElement[bool] | None,
) -> list[Head]:
    """Return the next rooms by name, at most `limit`, of those whose name begins with `prefix`.

    Those in which anybody is active or, if `active` is false, nobody is; and of them those that
    meet the condition `only`.
    """
    query = _heads().order_by(Room.name).limit(limit)
    if prefix:
        # LIKE would take small for capital letters in SQLite.
        query = query.where(func.substr(Room.name, 1, len(prefix)) == prefix, Room.name >= prefix)
    if active is not None:
        query = query.where(Room.active_peers > 0 if active else Room.active_peers == 0)
    if after is not None:
        query = query.where(Room.name > after)
    if only is not None:
        query = query.where(only)
    return [Head(*row) for row in session.execute(query)]


def totals(session: Session) -> Totals:
    """Return what tells whether any room has changed, come or gone.

    Rooms' versions only rise, a new one is newer than all others, and one that went without
    another coming lowers the number of rooms.
    """
    return Totals(*_TOTALS.rows(session)[0])


def changed(session: Session, room_id: int, since: int) -> list[ListedPeer]:
    """Return the peers of a room that changed after its version `since`, in the list's order.

    Peers that were erased since are not there to be found: `count` shows that some are missing.
    """
    rows = _CHANGED.rows(session, of_room=room_id, since=since)
    files = _files(session, [row[0] for row in rows if row[-1]])
    return [_listed(row, files) for row in rows]


def everybody(session: Session) -> dict[int, list[ListedPeer]]:
    """Return the peers of every room that has any, by the room's row id, in the list's order."""
    rows = _EVERYBODY.rows(session)
    files = _files(session, [row[0] for row in rows if row[-1]])
    rooms: dict[int, list[ListedPeer]] = {}
    for row in rows:
        rooms.setdefault(row[1], []).append(_listed(row, files))
    return rooms


def data_of(session: Session, heads: Iterable[Head]) -> dict[int, str]:
    """Return the data of those rooms that have any, as JSON by the room's row id."""
    ids = [head.id for head in heads if head.data_version]
    found: dict[int, str] = {}
    for start in range(0, len(ids), _BATCH):
        found.update(_DATA.rows(session, room_ids=ids[start : start + _BATCH]))
    return found


def count(session: Session, room_id: int) -> int:
    """Count the peers of a room, active or not."""
    (found,) = _COUNT.rows(session, of_room=room_id)[0]
    total: int = found
    return total


def files_of(session: Session, peer_row_id: int) -> tuple[str, ...]:
    """Return the stored names of a peer's files, oldest first."""
    return tuple(_files(session, [peer_row_id]).get(peer_row_id, ()))


def _listed(row: Row, files: dict[int, list[str]]) -> ListedPeer:
    own_files = tuple(files[row[0]]) if row[-1] else ()
    return ListedPeer._make((*row[2:-1], own_files))


def _files(session: Session, peer_row_ids: list[int]) -> dict[int, list[str]]:
    """Return the stored names of these peers' files, oldest first."""
    files: dict[int, list[str]] = {}
    for start in range(0, len(peer_row_ids), _BATCH):
        batch = peer_row_ids[start : start + _BATCH]
        for peer_row_id, stored_name in _FILES.rows(session, peer_row_ids=batch):
            files.setdefault(peer_row_id, []).append(stored_name)
    return files


def _heads() -> Select[int, str, int, str, int, int]:
    return select(
        Room.id,
        Room.name,
        Room.max_peers,
        instant_text(Room.created_at),
        Room.version,
        Room.data_version,
    )


def _peers() -> Select[int, int, str, str, str, str, str, int, str | None, str | None, int]:
    return select(
        Peer.id,
        Peer.room_id,
        Peer.peer_id,
        Peer.username,
        instant_text(Peer.joined_at),
        instant_text(Peer.last_seen),
        cast(Peer.user_data, Text),  # not parsed on its way into a list
        select(func.count()).where(PeerSession.peer_row_id == Peer.id).scalar_subquery(),
        Peer.away_reason,
        Peer.grants,
        select(func.count()).where(File.peer_row_id == Peer.id).scalar_subquery(),
    )


_HEAD = Prepared(_heads().where(Room.name == bindparam("room_name")))
_HEADS = Prepared(_heads().order_by(Room.name))
_TOTALS = Prepared(
    select(
        func.count(Room.id),
        func.coalesce(func.sum(Room.version), 0),
        instant_text(func.max(Room.created_at)),
        func.max(Room.id),
    )
)
_CHANGED = Prepared(
    _peers()
    .where(Peer.room_id == bindparam("of_room"), Peer.changed_version > bindparam("since"))
    .order_by(Peer.joined_at, Peer.peer_id)
)
_EVERYBODY = Prepared(_peers().order_by(Peer.room_id, Peer.joined_at, Peer.peer_id))
_DATA = Prepared(
    select(RoomData.room_id, RoomData.data).where(
        RoomData.room_id.in_(bindparam("room_ids", expanding=True))
    )
)
_COUNT = Prepared(select(func.count(Peer.id)).where(Peer.room_id == bindparam("of_room")))
_FILES = Prepared(
    select(File.peer_row_id, File.stored_name)
    .where(File.peer_row_id.in_(bindparam("peer_row_ids", expanding=True)))
    .order_by(File.uploaded_at, File.id)
)
