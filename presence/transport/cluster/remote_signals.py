"""Signals to peers whose sockets other workers hold.

A signal costs one message to the worker that holds the socket, and one back: it is `delivered` when
that worker says so. One for a peer that was just lost, wherever that was, waits with the sender's
own worker. That keeps the order of each sender's signals, since all of them pass through it, and
lets it say what became of them.
"""

from __future__ import annotations

from presence.errors import PeerInactive, PeerUnreachable, SignalUnconfirmed, UnknownPeer
from presence.transport.cluster.messaging import NO_ANSWER, NOT_SENT, Messenger
from presence.transport.cluster.remote_sockets import RemoteSockets
from presence.transport.engine.sockets import Sockets
from presence.transport.live import peer_lookup
from presence.transport.live.peer_lookup import PeerLookup
from presence.transport.live.switchboard import Seat, Switchboard
from presence.transport.wire.room_list import RoomList
from presence.transport.wire.serializers import Body

_DELIVERED, _GONE = "delivered", "gone"


class RemoteSignals:
    """Hands signals to other workers, and takes theirs."""

    def __init__(
        self,
        messenger: Messenger,
        remote_sockets: RemoteSockets,
        switchboard: Switchboard,
        sockets: Sockets,
        lookup: PeerLookup,
    ) -> None:
        self._messenger = messenger
        self._remote_sockets = remote_sockets
        self._switchboard = switchboard
        self._sockets = sockets
        self._lookup = lookup
        messenger.on("signal", self._take)

    def note(self, view: RoomList) -> None:
        """Take in a room's list: peers may be back on another worker, and signals wait for them."""
        self._remote_sockets.note(view)
        for seat in self._switchboard.fading(view.name):
            if self.is_elsewhere(seat):
                self._switchboard.found(seat)

    def is_elsewhere(self, seat: Seat) -> bool:
        """Tell whether a peer may have sockets that other workers hold."""
        return self._remote_sockets.sessions(seat) > len(self._switchboard.sessions(seat))

    def deliver(self, seat: Seat, to_session: str | None, body: Body) -> str | None:
        """Hand a signal to a peer's newest socket, or the session it is for, on another worker.

        Returns that socket, or None if it is not elsewhere, or was just lost. Raises `UnknownPeer`,
        `PeerInactive`, `PeerUnreachable` or `SignalUnconfirmed`.
        """
        for fresh in (False, True):
            sid = self._find(seat, to_session, fresh)
            if sid is None:
                continue
            if not self._messenger.is_elsewhere(sid):
                # The newest is here, if it is not lost by now: whoever asks has looked for it.
                return None
            answer = self._ask(seat, sid, body)
            if answer == _DELIVERED:
                return sid
            if answer == NOT_SENT:
                raise PeerUnreachable(seat.room_name, seat.peer_id)
            if answer == NO_ANSWER:
                raise SignalUnconfirmed(seat.room_name, seat.peer_id)
        return None

    def forward_soon(self, room_name: str | None = None) -> None:
        """Look in the background whether peers for whom signals wait are back on another worker."""
        for seat in self._switchboard.awaited(room_name):
            self._sockets.start_background_task(self._forward, seat)

    def _take(self, message: Body) -> str:
        sid = message["sid"]
        seat = Seat(message["room_name"], message["peer_id"])
        if self._switchboard.seat(sid) != seat or not self._sockets.is_connected(sid):
            return _GONE
        self._sockets.send(sid, "signal", message["body"])
        return _DELIVERED

    def _forward(self, seat: Seat) -> None:
        """Send what waits for a peer, in order, to the worker where it is now."""
        if not self._switchboard.begin_forwarding(seat):
            return
        try:
            while (held := self._switchboard.first_waiting(seat)) is not None:
                try:
                    sid = self._find(seat, None, fresh=True)
                except (UnknownPeer, PeerInactive):
                    return
                if sid is None or not self._messenger.is_elsewhere(sid):
                    return
                if self._ask(seat, sid, held.body) != _DELIVERED:
                    return
                self._switchboard.drop_waiting(seat, held)
        finally:
            self._switchboard.end_forwarding(seat)

    def _ask(self, seat: Seat, sid: str, body: Body) -> str:
        address = {"room_name": seat.room_name, "peer_id": seat.peer_id}
        return self._messenger.ask(sid, "signal", **address, body=body)

    def _find(self, seat: Seat, to_session: str | None, fresh: bool) -> str | None:
        """Return the socket that a signal goes to, or None for a peer that was just lost.

        What the database said before is good until the room changes, unless it has to be `fresh`.
        Raises `UnknownPeer` or `PeerInactive`.
        """
        sids = [] if fresh else self._remote_sockets.sockets(seat)
        # A session that is not known yet may have come a moment ago.
        if not sids or (to_session is not None and to_session not in sids):
            sids = self._look_up(seat)
        if not sids:
            return None
        if to_session is None:
            return sids[-1]
        if to_session in sids:
            return to_session
        raise peer_lookup.no_such_session(seat, to_session)

    def _look_up(self, seat: Seat) -> list[str]:
        """Return a peer's sockets, the newest last; none if it may return from its loss.

        Raises `UnknownPeer` or `PeerInactive`.
        """
        version = self._remote_sockets.version(seat)
        known = self._lookup.find(seat)
        sids = [sid for sid, _worker in known.sockets]
        if not sids and not known.was_lost:
            raise peer_lookup.inactive(seat, known.is_active)
        self._remote_sockets.found(seat, version, sids)
        return sids
