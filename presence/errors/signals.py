"""What peers tell each other, and why it does not arrive."""

from __future__ import annotations

from presence.errors.base import PresenceError


class UnknownPeer(PresenceError):
    """A signal is for a peer that the sender's room never had."""

    code = "unknown_peer"
    room_name: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Room “{room_name}” has no peer “{peer_id}”. Signals reach peers of one's own room "
            "only; compare the id with the newest list.",
            room_name=room_name,
        )


class PeerInactive(PresenceError):
    """The peer is known, but there is nobody to hand anything to just now."""

    code = "inactive"
    room_name: str
    peer_id: str


class PeerUnreachable(PresenceError):
    """The peer's connection is held by another process, which cannot be reached just now."""

    code = "unreachable"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” is connected to another process of this server, which cannot be "
            "reached at the moment. Nothing was sent; try again in a few seconds.",
            room_name=room_name,
            peer_id=peer_id,
        )


class SignalUnconfirmed(PresenceError):
    """The process that holds the peer's connection did not say whether it delivered a signal."""

    code = "unconfirmed"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"The process that holds the connection of peer “{peer_id}” did not answer in time. "
            "The signal may arrive or not: ask the peer, or send it again if twice does no harm.",
            room_name=room_name,
            peer_id=peer_id,
        )


class SignalTooLarge(PresenceError):
    """The data of a signal or broadcast exceeds the limit."""

    code = "too_large"
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"data is {size} bytes as JSON; at most {limit} are allowed. Send less at once, or "
            "use a data channel or an upload.",
            size=size,
            limit=limit,
        )


class SignalExpired(PresenceError):
    """A signal waited for a peer that did not come back in time."""

    code = "expired"

    def __init__(self, peer_id: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” did not come back in time, and the signal that waited for it was "
            "dropped. Send it again when the peer is active."
        )


class StateTooLarge(PresenceError):
    """A state of the moment exceeds the limit."""

    code = "state_too_large"
    field: str
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"state is {size} bytes as JSON; at most {limit} are allowed. Keep what is to last in "
            "user_data.",
            field="state",
            size=size,
            limit=limit,
        )
