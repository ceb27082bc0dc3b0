"""Signals to peers whose sockets other workers hold.

A signal costs one message to the worker that holds the socket, and one back: it is `delivered` when
that worker says so. One for a peer that was just lost, wherever that was, waits with the sender's
own worker. That keeps the order of each sender's signals, since all of them pass through it, and
lets it say what became of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from presence.domain.peers import peers, recovery
from presence.errors import (
    PeerInactive,
    PeerNotFound,
    PeerUnreachable,
    PresenceError,
    RoomNotFound,
    SignalUnconfirmed,
    UnknownPeer,
)
from presence.storage import database
from presence.transport.cluster.socket_manager import NO_ANSWER, NOT_SENT
from presence.transport.live.room_lists import RoomList
from presence.transport.live.switchboard import Seat
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.process.runtime import Runtime

_DELIVERED, _GONE = "delivered", "gone"


def init_app(run: Runtime) -> None:
    """Take signals from other workers, and notice when peers come back on one of them."""
    if run.cluster is None:
        return

    def take(message: Body) -> str:
        sid = message["sid"]
        seat = Seat(message["room_name"], message["peer_id"])
        if run.switchboard.seat(sid) != seat or not run.is_connected(sid):
            return _GONE
        run.send(sid, "signal", message["body"])
        return _DELIVERED

    elsewhere = run.cluster.elsewhere

    def look(view: RoomList) -> None:
        elsewhere.note(view)
        for seat in run.switchboard.fading(view.name):
            if elsewhere.sessions(seat) > len(run.switchboard.sessions(seat)):
                run.switchboard.found(seat)

    run.cluster.handlers["signal"] = take
    run.announcer.listeners.append(look)
    run.cluster.listeners.append(lambda room_name: forward_soon(run, room_name))


def is_elsewhere(run: Runtime, seat: Seat) -> bool:
    """Tell whether a peer may have sockets that other workers hold."""
    if run.cluster is None:
        return False
    return run.cluster.elsewhere.sessions(seat) > len(run.switchboard.sessions(seat))


def deliver(run: Runtime, seat: Seat, to_session: str | None, body: Body) -> str | None:
    """Hand a signal to a peer's newest socket, or the session it is for, on another worker.

    Returns that socket, or None if it is not elsewhere, or was just lost. Raises `UnknownPeer`,
    `PeerInactive`, `PeerUnreachable` or `SignalUnconfirmed`.
    """
    assert run.cluster is not None
    for fresh in (False, True):
        sid = _find(run, seat, to_session, fresh)
        if sid is None:
            continue
        if not run.cluster.is_elsewhere(sid):
            # The newest is here, if it is not lost by now: `route` has looked for it.
            return None
        answer = _ask(run, seat, sid, body)
        if answer == _DELIVERED:
            return sid
        if answer == NOT_SENT:
            raise PeerUnreachable(seat.room_name, seat.peer_id)
        if answer == NO_ANSWER:
            raise SignalUnconfirmed(seat.room_name, seat.peer_id)
    return None


def forward_soon(run: Runtime, room_name: str | None = None) -> None:
    """Look in the background whether peers for whom signals wait are back on another worker."""
    for seat in run.switchboard.awaited(room_name):
        run.socketio.start_background_task(_forward, run, seat)


def _forward(run: Runtime, seat: Seat) -> None:
    """Send what waits for a peer, in order, to the worker where it is now."""
    assert run.cluster is not None
    if not run.switchboard.begin_forwarding(seat):
        return
    try:
        while (held := run.switchboard.first_waiting(seat)) is not None:
            try:
                sid = _find(run, seat, None, fresh=True)
            except (UnknownPeer, PeerInactive):
                return
            if sid is None or not run.cluster.is_elsewhere(sid):
                return
            if _ask(run, seat, sid, held.body) != _DELIVERED:
                return
            run.switchboard.drop_waiting(seat, held)
    finally:
        run.switchboard.end_forwarding(seat)


def _ask(run: Runtime, seat: Seat, sid: str, body: Body) -> str:
    assert run.cluster is not None
    address = {"room_name": seat.room_name, "peer_id": seat.peer_id}
    return run.cluster.ask(sid, "signal", **address, body=body)


def _find(run: Runtime, seat: Seat, to_session: str | None, fresh: bool) -> str | None:
    """Return the socket that a signal goes to, or None for a peer that was just lost.

    What the database said before is good until the room changes, unless it has to be `fresh`.
    Raises `UnknownPeer` or `PeerInactive`.
    """
    assert run.cluster is not None
    sids = [] if fresh else run.cluster.elsewhere.sockets(seat)
    if not sids:
        sids = _look_up(run, seat)
    if not sids:
        return None
    if to_session is None:
        return sids[-1]
    if to_session in sids:
        return to_session
    raise _no_such_session(seat, to_session)


def _look_up(run: Runtime, seat: Seat) -> list[str]:
    """Return a peer's sockets, the newest last; none if it was lost so lately that it may return.

    Raises `UnknownPeer` or `PeerInactive`.
    """
    assert run.cluster is not None
    version = run.announcer.announced(seat.room_name)
    known = _ask_database(run, seat)
    sids = [sid for sid, _worker in known.sockets]
    if not sids and not known.was_lost:
        raise _inactive(seat, known.is_active)
    run.cluster.elsewhere.found(seat, version, sids)
    return sids


class _Known(NamedTuple):
    sockets: list[tuple[str, str]]
    was_lost: bool
    is_active: bool


def _ask_database(run: Runtime, seat: Seat) -> _Known:
    """Ask the database where a peer is; raises `UnknownPeer`."""
    room_name, peer_id = seat
    try:
        with run.app.app_context(), database.reading() as session:
            sockets = peers.sockets(session, room_name, peer_id)
            return _Known(
                sockets,
                recovery.was_lost(session, room_name, peer_id, run.settings.hold_seconds),
                bool(sockets) or peers.is_active(session, room_name, peer_id),
            )
    except (PeerNotFound, RoomNotFound):
        raise UnknownPeer(room_name, peer_id) from None


def why_nobody(run: Runtime, seat: Seat, to_session: str | None) -> PresenceError:
    """Return why a process that is in no cluster finds no socket of a peer."""
    try:
        known = _ask_database(run, seat)
    except UnknownPeer as error:
        return error
    # One of this process would have been found in memory: its end is only not recorded yet.
    for sid, worker_id in known.sockets:
        if worker_id != run.worker_id and to_session in (None, sid):
            return PeerUnreachable(seat.room_name, seat.peer_id)
    if to_session is not None and known.is_active:
        return _no_such_session(seat, to_session)
    return _inactive(seat, known.is_active)


def _no_such_session(seat: Seat, to_session: str) -> PeerInactive:
    return PeerInactive(
        f"Peer “{seat.peer_id}” has no session “{to_session}” now. Leave out to_session to reach "
        "its newest."
    )


def _inactive(seat: Seat, is_active: bool) -> PeerInactive:
    if is_active:
        reason = "is here over REST only and has no connection to hand signals to."
    else:
        reason = "is not active. Send again when the list shows that it is back."
    return PeerInactive(f"Peer “{seat.peer_id}” {reason}")
