"""A signal's way to the one socket that is to have it, here or on another worker, or to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from presence.domain.values import json_values, names
from presence.errors import PeerInactive, PresenceError, SignalTooLarge
from presence.storage.models import NAME_LENGTH
from presence.transport.engine.sockets import Sockets
from presence.transport.live.peer_lookup import PeerLookup
from presence.transport.live.switchboard import Held, Outcome, Seat, Sender, Switchboard
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.cluster.cluster import Cluster


# How deep a signal's data may nest.
_MAX_DEPTH = 64


class Signal(NamedTuple):
    """A signal as its sender gave it; ``size`` is that of ``data`` as compact JSON."""

    to: str
    to_session: str | None
    type: str | None
    data: Any
    size: int

    @property
    def address(self) -> Body:
        """Return what an answer repeats, so that its reader knows which signal it is about."""
        address = {"to": self.to, "type": self.type}
        return address if self.to_session is None else {**address, "to_session": self.to_session}


class Relay:
    """Delivers signals; `cluster` is None for a process that is alone.

    `hold_seconds` is how long one waits for a peer that lost its connection.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        sockets: Sockets,
        lookup: PeerLookup,
        cluster: Cluster | None,
        hold_seconds: float,
    ) -> None:
        self._switchboard = switchboard
        self._sockets = sockets
        self._lookup = lookup
        self._cluster = cluster
        self._hold_seconds = hold_seconds

    @property
    def reach(self) -> str:
        """What becomes of a message to a room: `partial` where other workers cannot be reached."""
        return "delivered" if self._cluster is None or self._cluster.up else "partial"

    def deliver(self, sender: Sender, stamp: Body, message: Signal) -> Body:
        """Hand a signal over, or let it wait; returns the answer, which says what became of it.

        `stamp` is what its reader is told of the sender. Raises `UnknownPeer`, `PeerInactive`,
        `PeerUnreachable` or `SignalUnconfirmed`.
        """
        body = {**stamp, "type": message.type, "data": message.data}
        to, outcome = self._route(sender, message, body)
        if outcome.full:
            raise _no_more_can_wait(to)
        if outcome.held is not None:
            return self._held(message, outcome.held)
        address = Seat(sender.room_name, to)
        target = outcome.sid
        if self._cluster is None and target is None:
            raise self._lookup.why_nobody(address, message.to_session)
        if self._cluster is not None:
            target = self._reach(address, message, body, outcome.sid)
            if target is None:
                held = self._switchboard.hold(sender, to, body, message.size)
                if held is None:
                    raise _no_more_can_wait(to)
                return self._held(message, held)
        if outcome.sid is not None and target == outcome.sid:
            self._sockets.send(outcome.sid, "signal", body)
        return {**message.address, "status": "delivered", "to_session": target}

    def _held(self, message: Signal, held: Held) -> Body:
        return {
            **message.address,
            "status": "held",
            "signal_id": held.signal_id,
            "expires_in": self._hold_seconds,
        }

    def _reach(self, seat: Seat, message: Signal, body: Body, here: str | None) -> str | None:
        """Return the socket elsewhere that got a signal, or else the one `here` that is to get it.

        None for a peer that was lost elsewhere. Raises what `RemoteSignals.deliver` does.
        """
        assert self._cluster is not None
        signals = self._cluster.signals
        if here is not None and (message.to_session or not signals.is_elsewhere(seat)):
            return here
        try:
            return signals.deliver(seat, message.to_session, body) or here
        except PresenceError:
            if here is None:
                raise
            return here

    def _route(self, sender: Sender, message: Signal, body: Body) -> tuple[str, Outcome]:
        """Route a signal; returns the id by which the peer is known too."""
        about = message.to_session, body, message.size
        outcome = self._switchboard.route(sender, message.to, *about)
        if outcome != Outcome():
            return message.to, outcome
        # The id may be written in another form of Unicode than the one it was joined with.
        to = names.normalise(message.to, "to", NAME_LENGTH)
        if to != message.to:
            outcome = self._switchboard.route(sender, to, *about)
        return to, outcome


def check_data(data: Any, max_bytes: int) -> int:
    """Return the size of what is to be relayed, in bytes of compact JSON.

    Raises `InvalidField` or `SignalTooLarge`.
    """
    size = json_values.size(data, "data")
    if size > max_bytes:
        raise SignalTooLarge(size, max_bytes)
    json_values.check(data, "data", max_depth=_MAX_DEPTH, stored=False)
    return size


def _no_more_can_wait(peer_id: str) -> PeerInactive:
    return PeerInactive(
        f"Peer “{peer_id}” lost its connection, and no more signals can wait for it. Send again "
        "when it is active."
    )
