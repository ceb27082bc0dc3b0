"""Activity: what happened in a room lately, for people to read. A bounded diary, not a log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from presence.storage.models import Activity, Peer, PeerSession

JOINED = "joined"
LEFT = "left"
UPDATED = "updated"
UPLOADED = "uploaded"
FILE_DELETED = "file_deleted"

# How many entries a room keeps.
KEPT = 200
# Updates of one peer within this time are one entry: many clients send their state all the time.
_SAME_UPDATE = timedelta(seconds=60)
_MAX_KEYS = 12


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


def record(
    session: Session,
    room_id: int,
    kind: str,
    *,
    peer_id: str,
    username: str,
    at: datetime,
    **detail: Any,
) -> None:
    """Note that a peer did something, and forget what is too long ago to be kept."""
    session.execute(
        insert(Activity).values(
            room_id=room_id,
            at=at,
            kind=kind,
            peer_id=peer_id,
            username=username,
            times=1,
            detail=detail,
        )
    )
    kept = (
        select(Activity.id)
        .where(Activity.room_id == room_id)
        .order_by(Activity.at.desc(), Activity.id.desc())
        .limit(KEPT)
    )
    session.execute(
        delete(Activity)
        .where(Activity.room_id == room_id, Activity.id.not_in(kept))
        .execution_options(synchronize_session=False)
    )


def record_update(
    session: Session, room_id: int, *, peer_id: str, username: str, at: datetime, keys: list[str]
) -> None:
    """Note that a peer changed these keys of its user data; with its last change if that is new."""
    last = session.execute(
        select(Activity.id, Activity.kind, Activity.at, Activity.times, Activity.detail)
        .where(Activity.room_id == room_id, Activity.peer_id == peer_id)
        .order_by(Activity.at.desc(), Activity.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.kind != UPDATED or at - last.at > _SAME_UPDATE:
        detail = {"keys": keys[:_MAX_KEYS]}
        record(session, room_id, UPDATED, peer_id=peer_id, username=username, at=at, **detail)
        return
    known: list[str] = last.detail["keys"]
    merged = [*known, *(key for key in keys if key not in known)][:_MAX_KEYS]
    session.execute(
        update(Activity)
        .where(Activity.id == last.id)
        .values(times=last.times + 1, username=username, detail={"keys": merged})
        .execution_options(synchronize_session=False)
    )


def record_lost(
    session: Session, room_id: int, peer_row_ids: set[int], at: datetime, reason: str
) -> None:
    """Note which of these peers have left, because no session of theirs is left."""
    rows = session.execute(
        select(Peer.peer_id, Peer.username)
        .where(
            Peer.room_id == room_id,
            Peer.id.in_(peer_row_ids),
            ~exists().where(PeerSession.peer_row_id == Peer.id),
        )
        .order_by(Peer.peer_id)
    )
    for peer_id, username in rows.all():
        record(session, room_id, LEFT, peer_id=peer_id, username=username, at=at, reason=reason)


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
