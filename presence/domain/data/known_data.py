"""Storing user data of peers that are remembered, where nothing about them has changed since.

Everything that lists show of a peer raises the version of its last change, its sessions too. So
whoever remembers a peer as of a version of its room need not look before writing: the write itself
finds out whether that is still so, and stores nothing where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    Text,
    bindparam,
    case,
    column,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.peers.results import Updated
from presence.domain.rooms import rooms
from presence.domain.rooms.lists import Change, Known
from presence.storage import database
from presence.storage.instants import text_of_instant
from presence.storage.models import Peer, PeerSession, Room
from presence.storage.prepared import Prepared, asks_by_messages

# For how long several steps at once wait for a room that somebody else is changing. Each of them
# goes its own way after that, and waits for nobody's room but its own.
_PATIENCE_MS = 100


class Step(NamedTuple):
    """What is to be stored of a peer that is `known`, with the keys that differ by it.

    ``text`` is what is ``merged`` as JSON.
    """

    sid: str
    room_name: str
    known: Known
    merged: dict[str, Any]
    text: str
    changed: list[str]


def store(session: Session, step: Step, now: datetime) -> Updated | None:
    """Store a peer's data if it is as known; None, and nothing, if it is not.

    The room is locked and gets its next version, and the transaction ends.
    """
    peer, version = step.known
    whose = {"room_name": step.room_name, "who": peer.peer_id, "of_sid": step.sid, "known": version}
    _CHANGE_ROOM.later(session, **whose)
    facts = _facts(session, step)
    values = {**whose, "now": now, "data": step.merged, "is_changed": bool(step.changed)}
    if facts is None or asks_by_messages(session):
        if facts is not None:
            outbox.tell_with(session, _TELL, facts, **whose, now=now)
        row = _STORE.last_row(session, **values)
    else:
        # Where no answer is a round trip it costs less to tell what is known by then.
        row = _STORE.row(session, **values)
        if row is not None:
            room = step.room_name, row[1]
            outbox.tell_wanted(session, outbox.PEER_UPDATED, room, now, facts, peer_id=peer.peer_id)
    return _updated(step, row[0], row[1], now, text_of_instant(now)) if row else None


def store_all(session: Session, steps: Sequence[Step], now: datetime) -> list[Updated | None]:
    """Like `store`, of several peers at once, each of which is named once.

    On PostgreSQL that is one message. The rooms are locked in the order of their names, as they are
    everywhere; one that is locked for long by somebody else makes all of it fail.
    """
    if database.is_sqlite():
        return [store(session, step, now) for step in steps]
    if not steps:
        return []
    statement, asked = _STORE_ALL, []
    for place, step in enumerate(steps):
        row = {
            "place": place,
            "room_name": step.room_name,
            "who": step.known.peer.peer_id,
            "of_sid": step.sid,
            "known": step.known.version,
            "data": orjson.Fragment(step.text),
            "is_changed": bool(step.changed),
        }
        facts = _facts(session, step)
        if facts is not None:
            statement = _STORE_ALL_AND_TELL
            row["own_id"], row["about"] = outbox.noted(session, facts)
        asked.append(row)
    _BE_IMPATIENT.later(session)
    _LOCK_ROOMS.later(session, names=list({step.room_name for step in steps}))
    rows = statement.last_rows(session, asked=orjson.dumps(asked).decode(), now=now)
    found: list[Updated | None] = [None] * len(steps)
    now_text = text_of_instant(now)
    for place, room_id, version in rows:
        found[place] = _updated(steps[place], room_id, version, now, now_text)
    return found


def _facts(session: Session, step: Step) -> dict[str, Any] | None:
    """Return what backends are told of it, None for nothing."""
    if not (step.changed and outbox.wants(session, outbox.PEER_UPDATED, step.room_name)):
        return None
    username = step.known.peer.username
    return {
        "username": username,
        "user_data": orjson.Fragment(step.text),
        "changed": step.changed,
    }


def _updated(step: Step, room_id: int, version: int, now: datetime, now_text: str) -> Updated:
    peer = step.known.peer
    shown = peer._replace(user_data=step.text, last_seen=now_text)
    change = Change(step.room_name, room_id, version - 1, version, (shown,))
    of = (step.room_name, peer.peer_id, peer.username, step.merged, step.changed, version)
    return Updated(*of, now, change)


# In all these statements, for the first may wait for somebody else who changes the peer.
_IS_AS_KNOWN = (
    Peer.peer_id == bindparam("who"),
    Peer.changed_version <= bindparam("known"),
    exists().where(PeerSession.sid == bindparam("of_sid"), PeerSession.peer_row_id == Peer.id),
)
_CHANGE_ROOM = Prepared(
    update(Room)
    .where(
        Room.name == bindparam("room_name"),
        exists().where(Peer.room_id == Room.id, *_IS_AS_KNOWN),
    )
    .values(version=Room.version + 1)
)
_TELL = outbox.telling(outbox.PEER_UPDATED, Room.name == bindparam("room_name"), *_IS_AS_KNOWN)
_STORE = Prepared(
    update(Peer)
    .where(
        Peer.room_id
        == select(Room.id).where(Room.name == bindparam("room_name")).scalar_subquery(),
        *_IS_AS_KNOWN,
    )
    .values(
        last_seen=bindparam("now"),
        user_data=bindparam("data"),
        data_version=case(
            (bindparam("is_changed", type_=Boolean), rooms.VERSION_OF_PEER),
            else_=Peer.data_version,
        ),
        changed_version=rooms.VERSION_OF_PEER,
    )
    .returning(Peer.room_id, Peer.changed_version)
)

# The rest is for PostgreSQL. What is locked by the first statement is seen by the second as it is
# then: each begins anew with what was committed before it.
_BE_IMPATIENT = Prepared(select(func.set_config("lock_timeout", str(_PATIENCE_MS), True)))
_LOCK_ROOMS = Prepared(
    select(Room.id)
    .where(Room.name.in_(bindparam("names", expanding=True)))
    .order_by(Room.name.collate("C"))
    .with_for_update(key_share=True)
)


_ASKED = (
    func.jsonb_to_recordset(bindparam("asked", type_=Text).cast(JSONB))
    .table_valued(
        column("place", Integer),
        column("room_name", Text),
        column("who", Text),
        column("of_sid", Text),
        column("known", BigInteger),
        column("data", JSONB),
        column("is_changed", Boolean),
        column("own_id", Text),
        column("about", Text),
        name="asked",
    )
    .render_derived(with_types=True)
)
_PASSED_ON = ("place", "room_name", "who", "data", "is_changed", "own_id", "about")
_FOUND = (
    select(
        *(_ASKED.c[name] for name in _PASSED_ON),
        Peer.id.label("peer_row_id"),
        Room.id.label("room_id"),
        (
            Room.version + func.row_number().over(partition_by=Room.id, order_by=_ASKED.c.place)
        ).label("version"),
    )
    .join_from(_ASKED, Room, Room.name == _ASKED.c.room_name)
    .join(Peer, (Peer.room_id == Room.id) & (Peer.peer_id == _ASKED.c.who))
    .where(
        Peer.changed_version <= _ASKED.c.known,
        exists().where(PeerSession.sid == _ASKED.c.of_sid, PeerSession.peer_row_id == Peer.id),
    )
    .cte("found")
)
_LATEST = (
    select(_FOUND.c.room_id, func.max(_FOUND.c.version).label("version"))
    .group_by(_FOUND.c.room_id)
    .subquery("latest")
)
_RAISED = (
    update(Room).where(Room.id == _LATEST.c.room_id).values(version=_LATEST.c.version).cte("raised")
)
_CHANGED = (
    update(Peer)
    .where(Peer.id == _FOUND.c.peer_row_id)
    .values(
        last_seen=bindparam("now"),
        user_data=_FOUND.c.data,
        data_version=case((_FOUND.c.is_changed, _FOUND.c.version), else_=Peer.data_version),
        changed_version=_FOUND.c.version,
    )
    .returning(_FOUND.c.place, _FOUND.c.room_id, _FOUND.c.version)
    .add_cte(_RAISED)
)
_STORE_ALL = Prepared(_CHANGED)
_STORE_ALL_AND_TELL = Prepared(
    _CHANGED.add_cte(outbox.telling_of(outbox.PEER_UPDATED, _FOUND).cte("told"))
)
