"""Who may not join a room, and which rooms nobody may join: kept, looked up, and run out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, select
from sqlalchemy.orm import Session

from presence.domain.values import clock
from presence.errors import Banned, BanNotFound, RoomClosed
from presence.storage.database import insert_or_update
from presence.storage.models import Ban, Closing
from presence.storage.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Bar:
    """A ban of a peer, or the closing of a room where ``peer_id`` is None.

    ``until`` is when it ends by itself, or None.
    """

    room_name: str
    peer_id: str | None
    until: datetime | None
    reason: str
    made_at: datetime


def ban(session: Session, room_name: str, peer_id: str, seconds: float | None, reason: str) -> Bar:
    """Let a peer not join a room for so many seconds, or for good; replaces an earlier ban."""
    bar = _bar(room_name, peer_id, seconds, reason)
    row = {**_row(bar), "peer_id": peer_id}
    insert_or_update(session, Ban, row, ["room_name", "peer_id"], _replace)
    return bar


def close(session: Session, room_name: str, seconds: float | None, reason: str) -> Bar:
    """Let nobody join a room for so many seconds, or until `reopen`; replaces an earlier one."""
    bar = _bar(room_name, None, seconds, reason)
    insert_or_update(session, Closing, _row(bar), ["room_name"], _replace)
    return bar


def lift(session: Session, room_name: str, peer_id: str) -> None:
    """Take a ban back; raises `BanNotFound`."""
    statement = delete(Ban).where(
        Ban.room_name == room_name, Ban.peer_id == peer_id, _holds(Ban.until)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise BanNotFound(f"Peer “{peer_id}” is not banned from room “{room_name}”.")


def reopen(session: Session, room_name: str) -> None:
    """Let a closed room be joined again; raises `BanNotFound`."""
    statement = delete(Closing).where(Closing.room_name == room_name, _holds(Closing.until))
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise BanNotFound(f"Room “{room_name}” is not closed.")


def reopen_if_closed(session: Session, room_name: str) -> None:
    """Let a room be joined again, whether it was closed or not."""
    session.execute(delete(Closing).where(Closing.room_name == room_name))


def of_room(session: Session, room_name: str) -> list[Bar]:
    """Return the bans of a room that hold now, the newest first."""
    rows = session.scalars(
        select(Ban)
        .where(Ban.room_name == room_name, _holds(Ban.until))
        .order_by(Ban.made_at.desc(), Ban.peer_id)
    )
    return [Bar(row.room_name, row.peer_id, row.until, row.reason, row.made_at) for row in rows]


def closing_of(session: Session, room_name: str) -> Bar | None:
    """Return the closing of a room that holds now, or None."""
    row = session.scalar(
        select(Closing).where(Closing.room_name == room_name, _holds(Closing.until))
    )
    return Bar(row.room_name, None, row.until, row.reason, row.made_at) if row else None


def closed_among(session: Session, room_names: Collection[str]) -> set[str]:
    """Return those of some rooms that are closed now, by name."""
    condition = Closing.room_name.in_(room_names)
    return set(session.scalars(select(Closing.room_name).where(condition, _holds(Closing.until))))


def rooms_shut_to(session: Session, peer_id: str) -> set[str]:
    """Return the names of the rooms from which a peer is banned now."""
    return set(
        session.scalars(select(Ban.room_name).where(Ban.peer_id == peer_id, _holds(Ban.until)))
    )


def banned_from(session: Session, room_names: Iterable[str]) -> dict[str, set[str]]:
    """Return who is banned now from each of some rooms, by the names of those that ban anybody."""
    found: dict[str, set[str]] = {}
    query = select(Ban.room_name, Ban.peer_id)
    for room_name, peer_id in session.execute(
        query.where(Ban.room_name.in_(room_names), _holds(Ban.until))
    ):
        found.setdefault(room_name, set()).add(peer_id)
    return found


def check(session: Session, room_name: str, peer_id: str) -> None:
    """Raise `Banned` if a peer has no business in a room now."""
    row = session.execute(
        select(Ban.until, Ban.reason).where(
            Ban.room_name == room_name, Ban.peer_id == peer_id, _holds(Ban.until)
        )
    ).one_or_none()
    if row is not None:
        raise Banned(room_name, peer_id, _written(row.until), row.reason)


def check_join(session: Session, room_name: str, peer_id: str) -> None:
    """Raise `Banned` or `RoomClosed` if a peer may not join a room now."""
    check(session, room_name, peer_id)
    closing = closing_of(session, room_name)
    if closing is not None:
        raise RoomClosed(room_name, _written(closing.until), closing.reason)


def forget_expired(session: Session) -> None:
    """Delete the bans and closings whose time is over."""
    now = clock.now()
    for forget in _FORGET:
        forget.later(session, now=now)


def _bar(room_name: str, peer_id: str | None, seconds: float | None, reason: str) -> Bar:
    now = clock.now()
    until = None if seconds is None else now + timedelta(seconds=seconds)
    return Bar(room_name, peer_id, until, reason, now)


def _row(bar: Bar) -> dict[str, Any]:
    return {
        "room_name": bar.room_name,
        "until": bar.until,
        "reason": bar.reason,
        "made_at": bar.made_at,
    }


def _replace(excluded: Any) -> dict[str, Any]:
    return {name: excluded[name] for name in ("until", "reason", "made_at")}


def _holds(until: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = until.is_(None) | (until > clock.now())
    return condition


def _written(until: datetime | None) -> str | None:
    """Return an instant as an error's body has it: ISO 8601 in UTC, to the second."""
    return None if until is None else until.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_FORGET = [
    Prepared(delete(model).where(model.until <= bindparam("now"))) for model in (Ban, Closing)
]
