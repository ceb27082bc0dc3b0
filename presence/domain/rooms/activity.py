"""Activity: what happened in a room lately, for people to read. A bounded diary, not a log."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms.rooms import LockedRoom
from presence.storage.models import Activity, Peer, PeerSession, Room
from presence.storage.prepared import Prepared

JOINED = "joined"
LEFT = "left"
UPDATED = "updated"
UPLOADED = "uploaded"
FILE_DELETED = "file_deleted"

# How many entries a room keeps for sure.
KEPT = 200
# How many entries more it comes to have on average, before what is too long ago is forgotten.
_FORGET_EVERY = 32
# Updates of one peer within this time are one entry: many clients send their state all the time.
SAME_UPDATE = timedelta(seconds=60)
MAX_KEYS = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a peer did, `times` times; ``detail`` depends on the kind."""

    id: int
    at: datetime
    kind: str
    peer_id: str
    username: str
    times: int
    detail: dict[str, Any]


@dataclass(slots=True)
class Updates:
    """What a peer changed of its user data, `times` times since ``at``; ``keys`` are the changed.

    They are gathered in memory, and noted together.
    """

    room_id: int
    peer_id: str
    username: str
    at: datetime
    times: int
    keys: list[str]


def record(
    session: Session,
    room_id: int,
    kind: str,
    *,
    peer_id: str,
    username: str,
    at: datetime,
    times: int = 1,
    **detail: Any,
) -> None:
    """Note that a peer did something, and forget what is too long ago to be kept."""
    _RECORD.later(
        session,
        of_room=room_id,
        now=at,
        what=kind,
        who=peer_id,
        called=username,
        number=times,
        about=detail,
    )
    # Not every time, since it looks through all that is kept; by chance, so that no room is left
    # out whatever order rooms take turns in.
    if random.randrange(_FORGET_EVERY) == 0:  # noqa: S311
        _FORGET_OLD.later(session, of_room=room_id)


def record_updates(session: Session, gathered: Sequence[Updates]) -> None:
    """Note what peers changed of their user data; with their last change if that is new.

    Nothing of peers that were erased meanwhile: the rooms are locked, so that none is just now.
    """
    room_ids = sorted({item.room_id for item in gathered})
    peer_ids = sorted({item.peer_id for item in gathered})
    _LOCK_ROOMS.later(session, rooms=room_ids)
    found = session.execute(
        select(
            Peer.room_id,
            Peer.peer_id,
            Peer.joined_at,
            select(Activity.id)
            .where(Activity.room_id == Peer.room_id, Activity.peer_id == Peer.peer_id)
            .order_by(Activity.at.desc(), Activity.id.desc())
            .limit(1)
            .scalar_subquery(),
        ).where(Peer.room_id.in_(room_ids), Peer.peer_id.in_(peer_ids))
    )
    peers = {(row[0], row[1]): (row[2], row[3]) for row in found}
    last_ids = [last_id for _, last_id in peers.values() if last_id is not None]
    rows = session.execute(
        select(Activity.id, Activity.kind, Activity.at, Activity.detail).where(
            Activity.id.in_(last_ids)
        )
    )
    last = {row[0]: row for row in rows}
    for item in gathered:
        joined_at, last_id = peers.get((item.room_id, item.peer_id), (None, None))
        if joined_at is None or item.at < joined_at:
            continue  # erased, and perhaps another has come by that name
        entry = last.get(last_id)
        if entry is None or entry[1] != UPDATED or item.at - entry[2] > SAME_UPDATE:
            record(
                session,
                item.room_id,
                UPDATED,
                peer_id=item.peer_id,
                username=item.username,
                at=item.at,
                times=item.times,
                keys=item.keys[:MAX_KEYS],
            )
            continue
        known: list[str] = entry[3]["keys"]
        merged = [*known, *(key for key in item.keys if key not in known)][:MAX_KEYS]
        _REPEAT.later(
            session,
            entry=last_id,
            called=item.username,
            more=item.times,
            about={"keys": merged},
        )


def record_left(
    session: Session,
    room: LockedRoom,
    peers: Iterable[tuple[str, str]],
    at: datetime,
    reason: str,
) -> None:
    """Note that peers, as (peer_id, username), have left, and tell backends of it."""
    for peer_id, username in peers:
        record(session, room.id, LEFT, peer_id=peer_id, username=username, at=at, reason=reason)
        outbox.tell_left(session, room, (peer_id, username), at, reason)


def record_lost(
    session: Session, room: LockedRoom, peer_row_ids: set[int], at: datetime, reason: str
) -> None:
    """Like `record_left`, of those of some peers who have no session left."""
    lost = _LOST.rows(session, of_room=room.id, peer_row_ids=list(peer_row_ids))
    record_left(session, room, [(row[0], row[1]) for row in lost], at, reason)


def forget(session: Session, room_id: int, peer_ids: Iterable[str]) -> None:
    """Forget everything that some peers did."""
    session.execute(
        delete(Activity)
        .where(Activity.room_id == room_id, Activity.peer_id.in_(list(peer_ids)))
        .execution_options(synchronize_session=False)
    )


def recent(session: Session, room_id: int, limit: int) -> list[Entry]:
    """Return the newest entries of a room, newest first."""
    rows = session.execute(
        select(*_COLUMNS)
        .where(Activity.room_id == room_id)
        .order_by(Activity.at.desc(), Activity.id.desc())
        .limit(limit)
    )
    return [Entry(*row) for row in rows]


def newest(session: Session, room_ids: Iterable[int]) -> dict[int, Entry]:
    """Return the newest entry of each room that has one."""
    rank = func.row_number().over(
        partition_by=Activity.room_id, order_by=(Activity.at.desc(), Activity.id.desc())
    )
    ranked = (
        select(Activity.room_id, Activity.id, rank.label("rank"))
        .where(Activity.room_id.in_(list(room_ids)))
        .subquery()
    )
    rows = session.execute(
        select(Activity.room_id, *_COLUMNS)
        .join(ranked, ranked.c.id == Activity.id)
        .where(ranked.c.rank == 1)
    )
    return {row[0]: Entry(*row[1:]) for row in rows}


_COLUMNS = (
    Activity.id,
    Activity.at,
    Activity.kind,
    Activity.peer_id,
    Activity.username,
    Activity.times,
    Activity.detail,
)

_RECORD = Prepared(
    insert(Activity).values(
        room_id=bindparam("of_room"),
        at=bindparam("now"),
        kind=bindparam("what"),
        peer_id=bindparam("who"),
        username=bindparam("called"),
        times=bindparam("number"),
        detail=bindparam("about"),
    )
)
_FORGET_OLD = Prepared(
    delete(Activity).where(
        Activity.id.in_(
            select(Activity.id)
            .where(Activity.room_id == bindparam("of_room"))
            .order_by(Activity.at.desc(), Activity.id.desc())
            .offset(KEPT)
        )
    )
)
# Always in the same order, like everybody who locks several rooms.
_LOCK_ROOMS = Prepared(
    select(Room.id)
    .where(Room.id.in_(bindparam("rooms", expanding=True)))
    .order_by(Room.name)
    .with_for_update(key_share=True)
)
_REPEAT = Prepared(
    update(Activity)
    .where(Activity.id == bindparam("entry"))
    .values(
        times=Activity.times + bindparam("more"),
        username=bindparam("called"),
        detail=bindparam("about"),
    )
)
_LOST = Prepared(
    select(Peer.peer_id, Peer.username)
    .where(
        Peer.room_id == bindparam("of_room"),
        Peer.id.in_(bindparam("peer_row_ids", expanding=True)),
        ~exists().where(PeerSession.peer_row_id == Peer.id),
    )
    .order_by(Peer.peer_id)
)
