"""Every event that the server sends of itself: its body, and who gets it when.

The events that answer a client's (``<event>_success``, ``<event>_error``) are declared with the
handler of that event.
"""

from __future__ import annotations

from dataclasses import dataclass

from presence.transport.wire import responses
from presence.transport.wire.responses import Answer


@dataclass(frozen=True, slots=True)
class Notice:
    """An event from the server; ``summary`` is a sentence without its full stop."""

    body: type[Answer]
    summary: str


NOTICES = {
    "peer_list_updated": Notice(
        responses.PeerList, "The room changed: its newest list, for every socket in it"
    ),
    "user_data_updated": Notice(
        responses.UserDataChanged, "A peer changed its user data, for the others in the room"
    ),
    "file_uploaded": Notice(responses.FileNotice, "A peer has a new file, for the room"),
    "file_deleted": Notice(responses.FileNotice, "A peer’s file is gone, for the room"),
    "peer_joined": Notice(
        responses.Changes, "Peers became active, for sockets that joined with `updates: delta`"
    ),
    "peer_updated": Notice(
        responses.Changes, "Peers changed, for sockets that joined with `updates: delta`"
    ),
    "peer_left": Notice(
        responses.Changes,
        "Peers became inactive or were erased, for sockets that joined with `updates: delta`",
    ),
    "signal": Notice(responses.SignalReceived, "A signal from another peer, for the one it is for"),
    "broadcast": Notice(
        responses.BroadcastReceived, "An application’s message, for everybody else in the room"
    ),
    "room_changed": Notice(responses.RoomNotice, "A room changed, for sockets that watch it"),
    "rooms_changed": Notice(
        responses.Nothing, "Some room changed, for sockets that watch the list of rooms"
    ),
    "token_expired": Notice(
        responses.TokenEnded,
        "The token of this connection has expired; it closes, and may come back with a fresh one",
    ),
    "slow_down": Notice(
        responses.SlowDown,
        "This connection sends too fast, and is slowed down or about to be closed",
    ),
    "server_shutdown": Notice(
        responses.Farewell, "The server is about to stop; the connection closes, and may come back"
    ),
}
