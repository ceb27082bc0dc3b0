"""User data: changing what is stored for a peer, by its socket or by whoever else may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy.orm import Session

from presence.domain.data import known_data
from presence.domain.data.known_data import Step
from presence.domain.outbox import outbox
from presence.domain.peers import peer_rows, sessions
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Updated
from presence.domain.rooms import rooms
from presence.domain.rooms.lists import Change, Known
from presence.domain.values import clock, user_data
from presence.errors import Conflict, PresenceError


class Wish(NamedTuple):
    """What a socket wants changed of its peer's data; see `user_data.merge`."""

    sid: str
    new_data: dict[str, Any]
    remove: Sequence[str] = ()
    replace: bool = False


def update(
    session: Session,
    *,
    room_name: str,
    peer_id: str,
    new_data: dict[str, Any],
    remove: Iterable[str] = (),
    replace: bool = False,
    if_version: int | None = None,
    renew_seconds: float | None = None,
    limits: Limits,
) -> Updated:
    """Merge `new_data` into what is stored for a peer, active or not.

    `remove` and `replace` are as in `user_data.merge`; with `if_version` the peer's data must not
    have changed since that version of the room; `renew_seconds` renews the peer's REST session if
    it has one. Raises `RoomNotFound`, `PeerNotFound`, `Conflict`, `UserDataTooLarge` or
    `DatabaseFull`.
    """
    now = clock.now()
    room = rooms.change(session, room_name)
    peer = peer_rows.get(session, room, peer_id)
    if if_version is not None and peer.data_version > if_version:
        raise Conflict(peer.user_data, peer.data_version)
    merged = user_data.merge(
        peer.user_data,
        new_data,
        remove=remove,
        replace=replace,
        max_bytes=limits.max_user_data_bytes,
    )
    if limits.is_full:
        user_data.check_room_for(peer.user_data, merged)
    changed = user_data.changed_keys(peer.user_data, merged)
    peer_rows.store(session, peer, room, now=now, user_data=merged if changed else None)
    outbox.tell_changed(session, room, now, peer, (peer.username, merged))
    if renew_seconds is not None:
        sessions.renew(session, peer.id, renew_seconds, now)
    shown = peer.listed(session, user_data=merged, last_seen=now)
    change = Change(room.name, room.id, room.version - 1, room.version, (shown,))
    return Updated(
        room.name, peer.peer_id, peer.username, merged, changed, room.version, now, change
    )


def update_of_socket(
    session: Session,
    wish: Wish,
    *,
    known: tuple[str, Known] | None,
    if_version: int | None = None,
    limits: Limits,
) -> Updated:
    """Like `update`, of the peer that a socket stands for; raises `NotJoined` too.

    `known` is the name of its room and the peer, as the process of the socket remembers them: where
    that is still so, everything is one step, with which the transaction ends.
    """
    if known is not None and if_version is None:
        step = _step(wish, *known, limits)
        updated = known_data.store(session, step, clock.now())
        if updated is not None:
            return updated
    room_name, peer_id = sessions.peer_of(session, wish.sid)
    return update(
        session,
        room_name=room_name,
        peer_id=peer_id,
        new_data=wish.new_data,
        remove=wish.remove,
        replace=wish.replace,
        if_version=if_version,
        limits=limits,
    )


def update_of_sockets(
    session: Session, wishes: Sequence[tuple[Wish, str, Known]], limits: Limits
) -> list[Updated | PresenceError | None]:
    """Do what several sockets want, of peers that are known each with its room, in one step.

    With it the transaction ends. The versions of a room rise in the order of its wishes. For each
    there is what came of it: what it is refused with, or None where the peer has changed since it
    was known (or is wanted twice), and nothing was done. Nobody else's wish fails by that.
    """
    found: list[Updated | PresenceError | None] = [None] * len(wishes)
    steps: dict[int, Step] = {}
    taken: set[tuple[str, str]] = set()
    for place, (wish, room_name, known) in enumerate(wishes):
        who = room_name, known.peer.peer_id
        if who in taken:
            continue
        taken.add(who)
        try:
            steps[place] = _step(wish, room_name, known, limits)
        except PresenceError as error:
            found[place] = error
    stored = known_data.store_all(session, list(steps.values()), clock.now())
    for place, updated in zip(steps, stored, strict=True):
        found[place] = updated
    return found


def _step(wish: Wish, room_name: str, known: Known, limits: Limits) -> Step:
    """Return what is to be stored; raises `UserDataTooLarge` or `DatabaseFull`."""
    stored = orjson.loads(known.peer.user_data)
    merged = user_data.merge(
        stored,
        wish.new_data,
        remove=wish.remove,
        replace=wish.replace,
        max_bytes=limits.max_user_data_bytes,
    )
    if limits.is_full:
        user_data.check_room_for(stored, merged)
    changed = user_data.changed_keys(stored, merged)
    return Step(wish.sid, room_name, known, merged, user_data.json_of(merged), changed)
