"""Recovery: putting a client back into its room that lost its connection without leaving.

With every join a secret is kept, hashed, beside the session it belongs to. While the session lives
the secret does; when the connection is lost it is good for a while longer; when the peer leaves it
is gone. Whoever shows it takes the peer's place over, once, and is given another.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from presence.domain.values import clock
from presence.storage.models import Peer, PeerSession, Recovery, Room
from presence.storage.prepared import Prepared

LIFE = timedelta(minutes=10)
OVERLAP = timedelta(seconds=30)


class Told(NamedTuple):
    """What a socket is told: changes instead of lists, others' states, notices of data."""

    deltas: bool
    states: bool = False
    data_notices: bool = True


class Place(NamedTuple):
    """What a secret gives back: a peer in a room, and what it was told.

    ``sid`` is the socket that stood for it, which may not yet be known to be lost.
    """

    room_name: str
    peer_id: str
    username: str
    told: Told
    sid: str


def offer(session: Session, sid: str, secret: str, told: Told) -> None:
    """Keep the secret of a socket that has joined, for the peer that it stands for now."""
    _OFFER.later(
        session,
        secret=_hash(secret),
        of_sid=sid,
        by_deltas=told.deltas,
        with_states=told.states,
        with_notices=told.data_notices,
    )


def withdraw(session: Session, sid: str) -> None:
    """Forget the secret of a socket that left in good order."""
    _WITHDRAW.later(session, of_sid=sid)


def withdraw_all(session: Session, room_name: str, peer_id: str) -> None:
    """Forget every secret of a peer that left with all its sockets."""
    peer_row_id = (
        select(Peer.id)
        .join(Room, Room.id == Peer.room_id)
        .where(Room.name == room_name, Peer.peer_id == peer_id)
        .scalar_subquery()
    )
    _delete(session, Recovery.peer_row_id == peer_row_id)


def withdraw_room(session: Session, room_name: str) -> None:
    """Forget every secret that gives back a place in a room."""
    peer_row_ids = select(Peer.id).join(Room, Room.id == Peer.room_id).where(Room.name == room_name)
    _delete(session, Recovery.peer_row_id.in_(peer_row_ids))


def settle(session: Session, sid: str | None = None) -> None:
    """Start the time of secrets whose session has ended: of one socket, or of all."""
    until = clock.now() + LIFE
    if sid is None:
        _SETTLE.later(session, until=until)
    else:
        _SETTLE_ONE.later(session, until=until, of_sid=sid)


def was_lost(session: Session, room_name: str, peer_id: str, seconds: float) -> bool:
    """Tell whether a connection of a peer was lost within so many seconds, and may be back soon."""
    since = clock.now() + LIFE - timedelta(seconds=seconds)
    return bool(
        session.scalar(
            select(
                exists().where(
                    Recovery.peer_row_id == Peer.id,
                    Peer.room_id == Room.id,
                    Room.name == room_name,
                    Peer.peer_id == peer_id,
                    Recovery.expires_at > since,
                )
            )
        )
    )


def find(session: Session, secret: str) -> Place | None:
    """Return the place that a secret gives back, or None if it is not good (any more)."""
    row = session.execute(
        select(
            Room.name,
            Peer.peer_id,
            Peer.username,
            Recovery.deltas,
            Recovery.states,
            Recovery.data_notices,
            Recovery.sid,
        )
        .join(Peer, Peer.id == Recovery.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(
            Recovery.secret_hash == _hash(secret),
            Recovery.expires_at.is_(None) | (Recovery.expires_at > clock.now()),
        )
    ).one_or_none()
    return Place(*row[:3], Told(*row[3:6]), row[6]) if row else None


def use(session: Session, secret: str, sid: str) -> Place | None:
    """Like `find`, and let the secret end soon, since the socket `sid` gets another one.

    Not at once: should the server die before the client has heard of that, the old one is all the
    client has. `confirm` ends it when the client is known to have the new one.
    """
    place = find(session, secret)
    if place is not None:
        session.execute(
            update(Recovery)
            .where(Recovery.secret_hash == _hash(secret))
            .values(sid=sid, expires_at=clock.now() + OVERLAP)
            .execution_options(synchronize_session=False)
        )
    return place


def confirm(session: Session, sid: str) -> None:
    """End the secret that a socket has used, now that its client has the next one."""
    _delete(session, Recovery.sid == sid, Recovery.expires_at.is_not(None))


def forget_expired(session: Session) -> None:
    """Delete the secrets whose time is over."""
    _FORGET.later(session, now=clock.now())


def _delete(session: Session, *conditions: ColumnElement[bool]) -> None:
    session.execute(
        delete(Recovery).where(*conditions).execution_options(synchronize_session=False)
    )


def _hash(secret: str) -> str:
    # A random secret of this length needs no salt and no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()


def _offering(insert: Any) -> Any:
    row: dict[str, Any] = {
        "peer_row_id": select(PeerSession.peer_row_id)
        .where(PeerSession.sid == bindparam("of_sid"))
        .scalar_subquery(),
        "sid": bindparam("of_sid"),
        "deltas": bindparam("by_deltas"),
        "states": bindparam("with_states"),
        "data_notices": bindparam("with_notices"),
        "expires_at": None,
    }
    statement = insert(Recovery).values(secret_hash=bindparam("secret"), **row)
    # A socket has one secret for all its life, and may join again and again.
    taken = {name: statement.excluded[name] for name in row}
    return statement.on_conflict_do_update(index_elements=["secret_hash"], set_=taken)


_OFFER = Prepared(_offering)
_FORGET = Prepared(delete(Recovery).where(Recovery.expires_at <= bindparam("now")))
_WITHDRAW = Prepared(delete(Recovery).where(Recovery.sid == bindparam("of_sid")))
_ENDED = (Recovery.expires_at.is_(None), ~exists().where(PeerSession.sid == Recovery.sid))
_SETTLE = Prepared(update(Recovery).where(*_ENDED).values(expires_at=bindparam("until")))
_SETTLE_ONE = Prepared(
    update(Recovery)
    .where(Recovery.sid == bindparam("of_sid"), *_ENDED)
    .values(expires_at=bindparam("until"))
)
