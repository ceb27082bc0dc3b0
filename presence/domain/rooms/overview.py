"""Rooms at a glance: what a list of many rooms shows, without reading all their peers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, false, func, select
from sqlalchemy.orm import Session

from presence.storage.models import Peer, PeerSession, Room


@dataclass(frozen=True, slots=True)
class RoomSummary:
    """A room in a list; ``last_change`` is when a peer of it last did something."""

    id: int
    name: str
    max_peers: int
    version: int
    active_peers: int
    total_peers: int
    last_change: datetime

    @property
    def is_full(self) -> bool:
        """Whether nobody new can join just now."""
        return self.active_peers >= self.max_peers


@dataclass(frozen=True, slots=True)
class RoomPage:
    """One page of a list of rooms; ``found`` is how many rooms there are on all pages."""

    rooms: list[RoomSummary]
    found: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rooms there are, in how many of them somebody is, and how many people that are."""

    rooms: int
    active_rooms: int
    people: int


# What a list of rooms can be sorted by.
SORTS = ("name", "here", "ever", "change")


def page_of_rooms(
    session: Session,
    search: str,
    page: int,
    per_page: int,
    only: ColumnElement[bool] | None = None,
    *,
    sort: str = "",
    active_only: bool = False,
) -> RoomPage:
    """Return the rooms whose name contains `search`, those with active peers first, then newest.

    `sort` is one of `SORTS`, downwards with a minus before it, and anything else is that usual
    order. With `only`, those alone that meet this condition; with `active_only`, those alone in
    which somebody is active. A page beyond the last one is the last one.
    """
    if active_only:
        is_active = Room.active_peers > 0
        only = is_active if only is None else only & is_active
    found = session.scalar(_matching(select(func.count(Room.id)), search, only)) or 0
    pages = max(1, -(-found // per_page))
    page = min(max(1, page), pages)

    active = (
        select(Peer.room_id, func.count(PeerSession.peer_row_id.distinct()).label("active"))
        .join(PeerSession, PeerSession.peer_row_id == Peer.id)
        .group_by(Peer.room_id)
        .subquery()
    )
    total = (
        select(
            Peer.room_id,
            func.count(Peer.id).label("total"),
            func.max(Peer.last_seen).label("last_seen"),
        )
        .group_by(Peer.room_id)
        .subquery()
    )
    active_peers = func.coalesce(active.c.active, 0)
    last_change = func.coalesce(total.c.last_seen, Room.created_at)
    rows: Iterable[Any] = session.execute(
        _matching(
            select(
                Room.id,
                Room.name,
                Room.max_peers,
                Room.version,
                active_peers,
                func.coalesce(total.c.total, 0),
                last_change,
            ),
            search,
            only,
        )
        .outerjoin(active, active.c.room_id == Room.id)
        .outerjoin(total, total.c.room_id == Room.id)
        .order_by(*_order(sort, active_peers, total.c.total, last_change))
        .limit(per_page)
        .offset((page - 1) * per_page)
    )
    return RoomPage([RoomSummary(*row) for row in rows], found, page, pages)


def totals(session: Session, only: ColumnElement[bool] | None = None) -> Totals:
    """Return how many rooms there are, and people in them; with `only`, in those that meet it."""
    query = select(
        func.count(Room.id),
        func.coalesce(func.sum(case((Room.active_peers > 0, 1), else_=0)), 0),
        func.coalesce(func.sum(Room.active_peers), 0),
    )
    row = session.execute(query if only is None else query.where(only)).one()
    return Totals(*(int(number) for number in row))


def _order(sort: str, active: Any, total: Any, last_change: Any) -> list[Any]:
    columns = {
        "name": func.lower(Room.name),
        "here": active,
        "ever": func.coalesce(total, 0),
        "change": last_change,
    }
    column = columns.get(sort.removeprefix("-"))
    if column is None:
        return [(active > 0).desc(), last_change.desc(), Room.name]
    return [column.desc() if sort.startswith("-") else column, Room.name]


def _matching(
    query: Select[*tuple[Any, ...]], search: str, only: ColumnElement[bool] | None
) -> Select[*tuple[Any, ...]]:
    """Restrict a query to the rooms whose name contains `search`, in any case."""
    if only is not None:
        query = query.where(only)
    if not search:
        return query
    if "\0" in search:
        # No name has that, and PostgreSQL takes no text with it.
        return query.where(false())
    return query.where(Room.name.icontains(search, autoescape=True))
