"""The outbox: what happens in rooms, written in the transaction in which it does.

So what was committed is told and what was rolled back is not, however the process ends. Every step
of the domain by which something comes to be passes by `tell` once; which of it is wanted, if any,
is found in the session, and where nothing is wanted nothing is done.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
from sqlalchemy import (
    Insert,
    String,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from presence.domain.permissions.room_patterns import RoomPattern
from presence.domain.values import user_data
from presence.storage.instants import UtcDateTime
from presence.storage.models import (
    Event,
    EventLog,
    Outbox,
    Peer,
    Room,
    WebhookFailure,
    WebhookQueue,
)
from presence.storage.prepared import Prepared

ROOM_MADE, ROOM_EMPTIED, ROOM_REMOVED = "room_made", "room_emptied", "room_removed"
ROOM_UPDATED = "room_updated"
PEER_JOINED, PEER_LEFT, PEER_UPDATED = "peer_joined", "peer_left", "peer_updated"
FILE_UPLOADED, FILE_DELETED = "file_uploaded", "file_deleted"
PEER_WANTED, BROADCAST_SENT = "peer_wanted", "broadcast_sent"
# Where a session keeps what is wanted of it.
WANTED = "wanted events"
ERASED = "erased"
# Why peers leave, as backends are told it, by the reasons that lists have. Whoever is put out of a
# room that is removed is told of when it is erased, a moment later.
_REASONS = {"disconnected": "lost", "room_closed": "closed", "room_removed": None}
# What is erased in one statement; databases limit the values in one.
_BATCH = 1_000


class ChangedRoom(Protocol):
    """A room, with the version that it has by the change."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> int:
        """Its version after the change."""


class ChangedPeer(Protocol):
    """A peer as it was before it was changed."""

    @property
    def peer_id(self) -> str:
        """Who it is."""

    @property
    def username(self) -> str:
        """Its name."""

    @property
    def user_data(self) -> dict[str, Any]:
        """What was kept of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are told, and of which rooms; `stir` is called when there is one."""

    types: frozenset[str]
    rooms: Sequence[RoomPattern]
    stir: Callable[[], None]

    def includes(self, kind: str, room_name: str) -> bool:
        """Tell whether such an event of a room is told."""
        if kind in self.types:
            for one in self.rooms:  # asked with every change, for which `any` takes too long
                if one.matches(room_name):
                    return True
        return False


def wants(session: Session, kind: str, room_name: str) -> bool:
    """Tell whether such an event would be told."""
    wanted: Wanted | None = session.info.get(WANTED)
    return wanted is not None and wanted.includes(kind, room_name)


def tell(
    session: Session,
    kind: str,
    room: ChangedRoom,
    at: datetime,
    peer_id: str | None = None,
    **facts: Any,
) -> None:
    """Write that something happened in a room that the transaction has locked, if it is wanted.

    `facts` is what is told besides, as JSON has it.
    """
    wanted: Wanted | None = session.info.get(WANTED)
    if wanted is None or not wanted.includes(kind, room.name):
        return
    tell_wanted(session, kind, (room.name, room.version), at, facts, peer_id=peer_id)


def tell_wanted(
    session: Session,
    kind: str,
    room: tuple[str, int],
    at: datetime,
    facts: dict[str, Any],
    *,
    peer_id: str | None,
) -> None:
    """Like `tell`, of a room by its name and version, of what is known to be wanted."""
    _TELL.later(
        session,
        own_id=_new_id(),
        kind=kind,
        now=at,
        of_room=room[0],
        of_version=room[1],
        who=peer_id,
        about=orjson.dumps(facts).decode(),
    )
    session.info[WANTED].stir()


def tell_left(
    session: Session, room: ChangedRoom, peer: tuple[str, str], at: datetime, reason: str
) -> None:
    """Write that a peer, as (peer_id, username), has left a room, for a reason that lists have."""
    told = _REASONS.get(reason, reason)
    if told is not None:
        facts = {"username": peer[1], "reason": told, "is_active": False}
        tell(session, PEER_LEFT, room, at, peer[0], **facts)


def tell_changed(
    session: Session,
    room: ChangedRoom,
    at: datetime,
    peer: ChangedPeer,
    after: tuple[str, dict[str, Any]],
) -> None:
    """Write that a peer, given as it was before, has another name or user data `after`, if so."""
    if session.info.get(WANTED) is None:
        return
    username, data = after
    changed = user_data.changed_keys(peer.user_data, data)
    if changed or username != peer.username:
        facts = {"username": username, "user_data": data, "changed": changed}
        tell(session, PEER_UPDATED, room, at, peer.peer_id, **facts)


def tell_with(session: Session, telling: Prepared, facts: dict[str, Any], **values: Any) -> None:
    """Run a statement of `telling`, with the `values` of its conditions."""
    about = orjson.dumps(facts).decode()
    telling.later(session, own_id=_new_id(), about=about, **values)
    session.info[WANTED].stir()


def telling(kind: str, *conditions: Any) -> Prepared:
    """Return a statement that tells of the peer, and with the version of its room, that it finds.

    For changes whose version nobody knows before the transaction ends.
    """
    found = select(
        bindparam("own_id", type_=String),
        literal(kind),
        bindparam("now", type_=UtcDateTime),
        Room.name,
        Room.version,
        Peer.peer_id,
        bindparam("about", type_=Text),
    )
    return Prepared(
        insert(Outbox).from_select(_COLUMNS, found.where(Peer.room_id == Room.id, *conditions))
    )


def noted(session: Session, facts: dict[str, Any]) -> tuple[str, str]:
    """Return the id and the facts of an event that a statement with `telling_of` writes."""
    session.info[WANTED].stir()
    return _new_id(), orjson.dumps(facts).decode()


def telling_of(kind: str, changes: Any) -> Insert:
    """Return what tells of the rows of a statement, of which it becomes a part.

    They have ``own_id`` and ``about`` as `noted` returns them, null where nothing is told, and
    ``room_name``, ``version``, ``who`` and their ``place`` among those of their room.
    """
    row = changes.c
    found = select(
        row.own_id,
        literal(kind),
        bindparam("now", type_=UtcDateTime),
        row.room_name,
        row.version,
        row.who,
        row.about,
    )
    return insert(Outbox).from_select(
        _COLUMNS, found.where(row.about.is_not(None)).order_by(row.place)
    )


def tell_alone(
    session: Session,
    kind: str,
    *,
    room_name: str,
    at: datetime,
    peer_id: str | None,
    facts: dict[str, Any],
) -> None:
    """Write something that changes nothing of a room; its version is the one that the room has.

    Nothing where there is no such room. It is locked, so that its events keep their order.
    """
    _TELL_ALONE.later(
        session,
        own_id=_new_id(),
        kind=kind,
        now=at,
        room_name=room_name,
        who=peer_id,
        about=orjson.dumps(facts).decode(),
    )
    session.info[WANTED].stir()


def redact(session: Session, room_name: str, peer_ids: Sequence[str]) -> None:
    """Take what is told of some peers out of what was written before: they are being erased."""
    if session.info.get(WANTED) is None:
        return
    for start in range(0, len(peer_ids), _BATCH):
        batch = list(peer_ids[start : start + _BATCH])
        for redact_in in _REDACT:
            redact_in.later(session, room_name=room_name, who=batch, about='{"erased":true}')


def forget_all(session: Session) -> int:
    """Delete every event, also those that nobody has taken yet; return how many there were.

    Whoever had read all of them is to know as well that others are missing from now on.
    """
    count = sum(
        session.scalar(select(func.count()).select_from(counted)) or 0
        for counted in (Outbox, Event)
    )
    for table in (Outbox, Event, WebhookQueue, WebhookFailure):
        session.execute(delete(table))
    end = EventLog.last_position + 1
    session.execute(update(EventLog).values(last_position=end, gone=end))
    return count


def _new_id() -> str:
    # Nobody is let in by it, it only has to be another one. A process that is forked has its own.
    return f"ev_{random.getrandbits(96):024x}"


_COLUMNS = ("uid", "type", "at", "room_name", "version", "peer_id", "facts")
_TELL = Prepared(
    insert(Outbox).values(
        uid=bindparam("own_id"),
        type=bindparam("kind"),
        at=bindparam("now"),
        room_name=bindparam("of_room"),
        version=bindparam("of_version"),
        peer_id=bindparam("who"),
        facts=bindparam("about"),
    )
)
_TELL_ALONE = Prepared(
    insert(Outbox).from_select(
        _COLUMNS,
        select(
            bindparam("own_id", type_=String),
            bindparam("kind", type_=String),
            bindparam("now", type_=UtcDateTime),
            Room.name,
            Room.version,
            bindparam("who", type_=String),
            bindparam("about", type_=Text),
        )
        .where(Room.name == bindparam("room_name"))
        # Locked by the same statement: one of its own may find no room yet, and this one would.
        .with_for_update(key_share=True),
    )
)
_REDACT = [
    Prepared(
        update(table)
        .where(
            table.room_name == bindparam("room_name"),
            table.peer_id.in_(bindparam("who", expanding=True)),
        )
        .values(facts=bindparam("about"))
    )
    for table in (Outbox, Event)
]
