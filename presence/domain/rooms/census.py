"""How much of everything there is, read in one query: for whoever watches over the server."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from presence.storage.models import File, Peer, PeerSession, Room


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of the whole database, whichever worker made the rows; ``file_bytes`` is in bytes."""

    rooms: int
    peers: int
    active_peers: int
    socket_sessions: int
    rest_sessions: int
    files: int
    file_bytes: int


def take(session: Session) -> Census:
    """Count everything."""
    sessions = select(func.count()).select_from(PeerSession)
    row = session.execute(
        select(
            select(func.count()).select_from(Room).scalar_subquery(),
            select(func.count()).select_from(Peer).scalar_subquery(),
            select(func.count(PeerSession.peer_row_id.distinct())).scalar_subquery(),
            sessions.where(PeerSession.sid.is_not(None)).scalar_subquery(),
            sessions.where(PeerSession.sid.is_(None)).scalar_subquery(),
            select(func.count()).select_from(File).scalar_subquery(),
            select(func.coalesce(func.sum(File.size), 0)).scalar_subquery(),
        )
    ).one()
    return Census(*(int(number) for number in row))
