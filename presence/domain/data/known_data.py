"""Storing user data of peers that are remembered, where nothing about them has changed since.

Everything that lists show of a peer raises the version of its last change, its sessions too. So
whoever remembers a peer as of a version of its room need not look before writing: the write itself
finds out whether that is still so, and stores nothing where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.peers.results import Updated
from presence.domain.rooms import rooms
from presence.domain.rooms.lists import Change, Known
from presence.domain.values import user_data
from presence.storage import database
from presence.storage.models import Peer, PeerSession, Room
from presence.storage.prepared import Prepared
from presence.storage.text_columns import text_of_instant

# For how long several steps at once wait for a room that somebody else is changing. Each of them
# goes its own way after that, and waits for nobody's room but its own.
_PATIENCE_MS = 100


class Step(NamedTuple):
    """What is to be stored of a peer that is `known`, with the keys that differ by it."""

    sid: str
    room_name: str
    known: Known
    merged: dict[str, Any]
    changed: list[str]
    now: datetime


def store(session: Session, step: Step) -> Updated | None:
    """Store a peer's data if it is as known; None, and nothing, if it is not.

    The room is locked and gets its next version, and the transaction ends.
    """
    peer, version = step.known
    whose = {"room_name": step.room_name, "who": peer.peer_id, "of_sid": step.sid, "known": version}
    _CHANGE_ROOM.later(session, **whose)
    if step.changed and outbox.wants(session, outbox.PEER_UPDATED, step.room_name):
        facts = {"username": peer.username, "user_data": step.merged, "changed": step.changed}
        outbox.tell_with(session, _TELL, facts, **whose, now=step.now)
    row = _STORE.last_row(
        session, **whose, now=step.now, data=step.merged, is_changed=bool(step.changed)
    )
    return _updated(step, row[0], row[1]) if row else None


def store_all(session: Session, steps: Sequence[Step]) -> list[Updated | None]:
    """Like `store`, of several peers at once, each of which is named once.

    On PostgreSQL that is one message. The rooms are locked in the order of their names, as they are
    everywhere; one that is locked for long by somebody else makes all of it fail.
    """
    told = any(outbox.wants(session, outbox.PEER_UPDATED, step.room_name) for step in steps)
    if told or database.is_sqlite():
        return [store(session, step) for step in steps]
    if not steps:
        return []
    _BE_IMPATIENT.later(session, milliseconds=str(_PATIENCE_MS))
    _LOCK_ROOMS.later(session, names=list({step.room_name for step in steps}))
    rows = _STORE_ALL.last_rows(
        session,
        room_names=[step.room_name for step in steps],
        peer_ids=[step.known.peer.peer_id for step in steps],
        sids=[step.sid for step in steps],
        knowns=[step.known.version for step in steps],
        all_data=[user_data.json_of(step.merged) for step in steps],
        which_changed=[bool(step.changed) for step in steps],
        now=max(step.now for step in steps),
    )
    found: list[Updated | None] = [None] * len(steps)
    for place, room_id, version in rows:
        found[place - 1] = _updated(steps[place - 1], room_id, version)
    return found


def _updated(step: Step, room_id: int, version: int) -> Updated:
    peer = step.known.peer
    shown = peer._replace(
        user_data=user_data.json_of(step.merged), last_seen=text_of_instant(step.now)
    )
    change = Change(step.room_name, room_id, version - 1, version, (shown,))
    of = (step.room_name, peer.peer_id, peer.username, step.merged, step.changed, version)
    return Updated(*of, step.now, change)


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
_BE_IMPATIENT = Prepared(
    select(func.set_config("lock_timeout", bindparam("milliseconds", type_=Text), True))
)
_LOCK_ROOMS = Prepared(
    select(Room.id)
    .where(Room.name.in_(bindparam("names", expanding=True)))
    .order_by(Room.name.collate("C"))
    .with_for_update(key_share=True)
)


_TEXTS: ARRAY[str] = ARRAY(Text)
_ASKED = (
    func.unnest(
        bindparam("room_names", type_=_TEXTS),
        bindparam("peer_ids", type_=_TEXTS),
        bindparam("sids", type_=_TEXTS),
        bindparam("knowns", type_=ARRAY(BigInteger)),
        bindparam("all_data", type_=_TEXTS),
        bindparam("which_changed", type_=ARRAY(Boolean)),
    )
    .table_valued(
        "room_name", "who", "of_sid", "known", "data", "is_changed", with_ordinality="place"
    )
    .render_derived()
)
_FOUND = (
    select(
        _ASKED.c.place,
        _ASKED.c.data,
        _ASKED.c.is_changed,
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
_STORE_ALL = Prepared(
    update(Peer)
    .where(Peer.id == _FOUND.c.peer_row_id)
    .values(
        last_seen=bindparam("now"),
        user_data=cast(_FOUND.c.data, Peer.user_data.type),
        data_version=case((_FOUND.c.is_changed, _FOUND.c.version), else_=Peer.data_version),
        changed_version=_FOUND.c.version,
    )
    .returning(_FOUND.c.place, _FOUND.c.room_id, _FOUND.c.version)
    .add_cte(_RAISED)
)
