"""What a peer may do in a room where an admin has changed that: kept with the peer, and looked up.

It stands in the place of what the peer's token allows there, wider or narrower, for as long as the
room knows the peer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import peer_rows
from presence.domain.permissions.tokens import (
    ADMIT,
    ENTER,
    GRANTS,
    JOIN,
    LIST,
    LISTEN,
    ROOM,
    SIGNAL,
    UPDATE,
    UPLOAD,
)
from presence.domain.rooms import rooms
from presence.domain.rooms.lists import Change
from presence.errors import NotGranted
from presence.storage.models import Peer, Room
from presence.storage.prepared import Prepared

# What an admin can give and take. Being there is ended by a kick or a ban alone.
CHANGEABLE = frozenset((JOIN, UPDATE, ROOM, UPLOAD, SIGNAL, LISTEN, LIST, ENTER, ADMIT))


class Regranted(NamedTuple):
    """A peer's rights as they are now, None for what its token says.

    ``change`` is what that changed of the room's list; None where it was so before.
    """

    room_name: str
    peer_id: str
    grants: str | None
    version: int
    change: Change | None


def parse(grants: str | None) -> frozenset[str] | None:
    """Return what a peer may do as it is kept, None where nobody has changed it."""
    return None if grants is None else frozenset(grants.split())


def regrant(
    session: Session, room_name: str, peer_id: str, grants: Iterable[str] | None
) -> Regranted:
    """Let a peer do these things in a room, and nothing else; None: what its token says.

    Raises `RoomNotFound` or `PeerNotFound`.
    """
    given = None if grants is None else {JOIN, *grants}
    kept = None if given is None else " ".join(grant for grant in GRANTS if grant in given)
    room = rooms.change(session, room_name)
    peer = peer_rows.get(session, room, peer_id)
    if peer.grants == kept:
        room = rooms.unchanged(session, room)
        return Regranted(room_name, peer_id, kept, room.version, None)
    _REGRANT.later(session, peer=peer.id, kept=kept, version=room.version)
    shown = peer.listed(session, grants=kept)
    change = Change(room.name, room.id, room.version - 1, room.version, (shown,))
    return Regranted(room_name, peer_id, kept, room.version, change)


def of(session: Session, room_name: str, peer_id: str) -> frozenset[str] | None:
    """Return what an admin lets a peer do in a room; None where nobody has changed that."""
    row = _OF.row(session, room_name=room_name, who=peer_id)
    return None if row is None else parse(row[0])


def everywhere(session: Session, peer_id: str) -> dict[str, frozenset[str]]:
    """Return what a peer may do in each room in which an admin has changed that."""
    return {name: frozenset(kept.split()) for name, kept in _EVERYWHERE.rows(session, who=peer_id)}


def check_erasable(session: Session, room_name: str, peer_id: str) -> None:
    """Raise `NotGranted` where a peer would come back with other rights than an admin has left it.

    They are kept with the peer, and go with it.
    """
    if of(session, room_name, peer_id) is not None:
        raise NotGranted(
            UPDATE, "An admin has changed what it may do in this room, and alone may erase it."
        )


_REGRANT = Prepared(
    update(Peer)
    .where(Peer.id == bindparam("peer"))
    .values(grants=bindparam("kept"), changed_version=bindparam("version"))
)
_OF = Prepared(
    select(Peer.grants)
    .join(Room, Room.id == Peer.room_id)
    .where(Room.name == bindparam("room_name"), Peer.peer_id == bindparam("who"))
)
_EVERYWHERE = Prepared(
    select(Room.name, Peer.grants)
    .join(Peer, Room.id == Peer.room_id)
    .where(Peer.peer_id == bindparam("who"), Peer.grants.is_not(None))
)
