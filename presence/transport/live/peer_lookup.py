"""Asking the database where a peer is, when this process knows of no socket of it."""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask

from presence.domain.peers import peers, recovery
from presence.errors import (
    PeerInactive,
    PeerNotFound,
    PeerUnreachable,
    PresenceError,
    RoomNotFound,
    UnknownPeer,
)
from presence.storage import database
from presence.transport.live.switchboard import Seat


class Known(NamedTuple):
    """What the database says of a peer; ``sockets`` are (sid, worker id), the newest last.

    ``was_lost`` tells whether it was lost so lately that it may return.
    """

    sockets: list[tuple[str, str]]
    was_lost: bool
    is_active: bool


class PeerLookup:
    """Finds peers for signals; `hold_seconds` is for how long after its loss a peer may return."""

    def __init__(self, app: Flask, worker_id: str, hold_seconds: float) -> None:
        self._app = app
        self._worker_id = worker_id
        self._hold_seconds = hold_seconds

    def find(self, seat: Seat) -> Known:
        """Return what is known of a peer; raises `UnknownPeer`."""
        room_name, peer_id = seat
        try:
            with self._app.app_context(), database.reading() as session:
                sockets = peers.sockets(session, room_name, peer_id)
                return Known(
                    sockets,
                    recovery.was_lost(session, room_name, peer_id, self._hold_seconds),
                    bool(sockets) or peers.is_active(session, room_name, peer_id),
                )
        except (PeerNotFound, RoomNotFound):
            raise UnknownPeer(room_name, peer_id) from None

    def why_nobody(self, seat: Seat, to_session: str | None) -> PresenceError:
        """Return why a process that is in no cluster finds no socket of a peer."""
        try:
            known = self.find(seat)
        except UnknownPeer as error:
            return error
        # One of this process would have been found in memory: its end is only not recorded yet.
        for sid, worker_id in known.sockets:
            if worker_id != self._worker_id and to_session in (None, sid):
                return PeerUnreachable(seat.room_name, seat.peer_id)
        if to_session is not None and known.is_active:
            return no_such_session(seat, to_session)
        return inactive(seat, known.is_active)


def no_such_session(seat: Seat, to_session: str) -> PeerInactive:
    """Return what a sender is told whose signal names a session that its peer does not have."""
    return PeerInactive(
        f"Peer “{seat.peer_id}” has no session “{to_session}” now. Leave out to_session to reach "
        "its newest."
    )


def inactive(seat: Seat, is_active: bool) -> PeerInactive:
    """Return what a sender is told whose peer has no socket to hand a signal to."""
    if is_active:
        reason = "is here over REST only and has no connection to hand signals to."
    else:
        reason = "is not active. Send again when the list shows that it is back."
    return PeerInactive(f"Peer “{seat.peer_id}” {reason}")
