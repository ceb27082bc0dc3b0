"""Workers: the server's running processes, and what becomes of the sessions of a dead one.

Leases are written and compared on the database's clock, so that machines whose clocks differ do
not take each other for dead.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import recovery, sessions
from presence.domain.values import clock
from presence.storage import database
from presence.storage.models import PeerSession, Worker
from presence.storage.prepared import Prepared

# A worker that has not renewed its row for this long has died. With what passes until a survivor
# looks, its peers are inactive within 12 s.
LEASE = timedelta(seconds=8)


def register(session: Session, worker_id: str, *, alone: bool) -> set[str]:
    """Enter a worker that starts, and end the sessions of those that died.

    `alone` says that no other process can be using this database: then every session in it is
    left over from an earlier run. Returns the names of the rooms concerned.
    """
    names = end_dead(session, everybody=alone)
    now = database.now(session)
    session.execute(insert(Worker).values(id=worker_id, started_at=now, renewed_at=now))
    return names


def renew(session: Session, worker_id: str) -> bool:
    """Renew a worker's row; return whether it was still there."""
    return bool(_RENEW.run(session, of_worker=worker_id, instant=database.now(session)))


def any_dead(session: Session) -> bool:
    """Tell whether `end_dead` would end anything."""
    return bool(_DEAD.rows(session, instant=_lease_ends(session)))


def end_dead(session: Session, *, everybody: bool = False) -> set[str]:
    """End the sessions of workers whose lease ran out (of `everybody`: all sessions there are).

    Their peers were last seen when the worker was last known to live. Returns the names of the
    rooms concerned.
    """
    # One survivor does it; the others pass over rows that are locked.
    dead = select(Worker.id, Worker.renewed_at).with_for_update(skip_locked=True)
    if not everybody:
        dead = dead.where(Worker.renewed_at < _lease_ends(session))
    names: set[str] = set()
    for worker_id, renewed_at in session.execute(dead).all():
        ended = sessions.find(session, PeerSession.worker_id == worker_id)
        names |= sessions.end(session, ended, renewed_at)
        session.execute(delete(Worker).where(Worker.id == worker_id))
    if everybody:
        names |= sessions.end(session, sessions.find(session), clock.now())
    recovery.settle(session)
    return names


def outlived(session: Session, *, everybody: bool = False) -> list[float]:
    """Return by how many seconds each session of a dead worker has outlived its last renewal.

    Of `everybody`: each session that belongs to a worker. To be asked before they are ended.
    """
    now = database.now(session)
    rows = select(Worker.renewed_at).join(PeerSession, PeerSession.worker_id == Worker.id)
    if not everybody:
        rows = rows.where(Worker.renewed_at < _lease_ends(session))
    return [(now - renewed_at).total_seconds() for renewed_at in session.scalars(rows)]


def leave(session: Session, worker_id: str) -> set[str]:
    """Take out a worker that stops in good order, ending what sessions it still has.

    Returns the names of the rooms concerned.
    """
    ended = sessions.find(session, PeerSession.worker_id == worker_id)
    names = sessions.end(session, ended, clock.now())
    session.execute(delete(Worker).where(Worker.id == worker_id))
    recovery.settle(session)
    return names


def end_lost_sockets(
    session: Session, worker_id: str, is_connected: Callable[[str], bool]
) -> set[str]:
    """End the sessions of this worker whose socket is gone, as `is_connected` tells of a sid.

    Repairs what a disconnect could not record because the database was not to be had just then.
    Returns the names of the rooms concerned.
    """
    ended = [
        item
        for item in sessions.find(
            session, PeerSession.worker_id == worker_id, PeerSession.expires_at.is_(None)
        )
        if item.sid is None or not is_connected(item.sid)
    ]
    names = sessions.end(session, ended, clock.now())
    recovery.settle(session)
    return names


class Lease(NamedTuple):
    """A worker, when it started, and how many seconds ago it renewed its lease."""

    id: str
    started_at: datetime
    age: float


def leases(session: Session) -> list[Lease]:
    """Return every worker that has a row, those too that have died, the oldest first."""
    now = database.now(session)
    rows = session.execute(
        select(Worker.id, Worker.started_at, Worker.renewed_at).order_by(Worker.started_at)
    )
    return [Lease(name, began, (now - renewed).total_seconds()) for name, began, renewed in rows]


def living(session: Session) -> set[str]:
    """Return the ids of the workers whose lease has not run out."""
    return set(
        session.scalars(select(Worker.id).where(Worker.renewed_at >= _lease_ends(session))).all()
    )


def _lease_ends(session: Session) -> datetime:
    """Return the instant before which a worker must have been renewed to count as dead."""
    return database.now(session) - LEASE


_RENEW = Prepared(
    update(Worker)
    .where(Worker.id == bindparam("of_worker"))
    .values(renewed_at=bindparam("instant"))
)
_DEAD = Prepared(select(Worker.id).where(Worker.renewed_at < bindparam("instant")).limit(1))
