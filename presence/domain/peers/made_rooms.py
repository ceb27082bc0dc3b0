"""Rooms that somebody makes as such: before anybody joins, and with limits of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from presence.domain.peers import moderation, passwords
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Left
from presence.domain.permissions import bans
from presence.domain.rooms import rooms
from presence.domain.rooms.rooms import Maker
from presence.domain.values import clock
from presence.errors import DatabaseFull, RoomNotFound
from presence.storage.models import Room


@dataclass(frozen=True, slots=True)
class MadeRoom:
    """A room as it is now that it was made or changed; `left` are those it was closed to.

    `keep_inactive` is in seconds, None for as long as the server keeps peers. `is_new` says that
    there was none.
    """

    name: str
    max_peers: int
    keep_inactive: int | None
    has_password: bool
    has_lobby: bool
    is_closed: bool
    created_at: datetime
    version: int
    is_new: bool
    left: list[Left]


def put(
    session: Session,
    name: str,
    terms: Mapping[str, Any],
    *,
    closed: bool | None,
    limits: Limits,
    maker: Maker | None,
    passed: str | None = passwords.UNASKED,
) -> MadeRoom:
    """Make a room, or change the one that there is; either way it stays until it is removed.

    `terms` may have ``max_peers``, ``keep_inactive``, ``password_hash`` and ``has_lobby``; None is
    what the server has, and what is not there stays as it is. Nobody is put out by any of them.
    With `closed` the room is closed, everybody put out, or reopened. A password is changed by those
    who have `passed` the one that there is (see `passwords`). Raises `TooManyRooms`,
    `TooManyRoomsMade`, `DatabaseFull` or `passwords.Unchecked`.
    """
    now = clock.now()
    left: list[Left] = []
    # Before the room is locked, as whoever closes one does.
    if closed and bans.closing_of(session, name) is None:
        _, left = moderation.close_room(session, name, None, "")
    elif closed is False:
        bans.reopen_if_closed(session, name)
    new = dict(terms)
    if "max_peers" in new:
        new["max_peers"] = new["max_peers"] or limits.max_peers
    places = new.get("max_peers") or limits.max_peers
    try:
        room = rooms.change(session, name)
    except RoomNotFound:
        if limits.is_full:
            raise DatabaseFull from None
        made = rooms.change_or_make(
            session, [name], places, now, max_rooms=limits.max_rooms, maker=maker
        )
        room = made[name]
    if "password_hash" in new:
        held = session.execute(select(Room.password_hash).where(Room.id == room.id)).scalar_one()
        passwords.ask(name, held, passed)
    session.execute(
        update(Room)
        .where(Room.id == room.id)
        .values(is_made=True, **new)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(
        select(
            Room.max_peers,
            Room.keep_inactive,
            Room.password_hash.is_not(None),
            Room.has_lobby,
            Room.created_at,
        ).where(Room.id == room.id)
    ).one()
    # Not by its instant: two workers may have the same.
    if not room.is_new and row.max_peers == room.max_peers:
        room = rooms.unchanged(session, room)
    is_closed = bans.closing_of(session, name) is not None
    return MadeRoom(name, *row[:4], is_closed, row.created_at, room.version, room.is_new, left)
