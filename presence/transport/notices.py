"""Every event that the server sends of itself: its body, and who gets it when.

The events that answer a client's (``<event>_success``, ``<event>_error``) are declared with the
handler of that event.
"""

from __future__ import annotations

from dataclasses import dataclass

from presence.transport import answers
from presence.transport.answers import Answer


@dataclass(frozen=True, slots=True)
class Notice:
    """An event from the server; ``summary`` is a sentence without its full stop."""

    body: type[Answer]
    summary: str


NOTICES = {
    "peer_list_updated": Notice(
        answers.PeerList, "The room changed: its newest list, for every socket in it"
    ),
    "user_data_updated": Notice(
        answers.UserDataChanged, "A peer changed its user data, for the others in the room"
    ),
    "file_uploaded": Notice(answers.FileNotice, "A peer has a new file, for the room"),
    "file_deleted": Notice(answers.FileNotice, "A peer’s file is gone, for the room"),
    "peer_joined": Notice(
        answers.Changes, "Peers became active, for sockets that joined with `updates: delta`"
    ),
    "peer_updated": Notice(
        answers.Changes, "Peers changed, for sockets that joined with `updates: delta`"
    ),
    "peer_left": Notice(
        answers.Changes,
        "Peers became inactive or were erased, for sockets that joined with `updates: delta`",
    ),
    "signal": Notice(answers.SignalReceived, "A signal from another peer, for the one it is for"),
    "broadcast": Notice(
        answers.BroadcastReceived, "An application’s message, for everybody else in the room"
    ),
    "room_changed": Notice(answers.RoomNotice, "A room changed, for sockets that watch it"),
    "rooms_changed": Notice(
        answers.Nothing, "Some room changed, for sockets that watch the list of rooms"
    ),
    "token_expired": Notice(
        answers.TokenEnded,
        "The token of this connection has expired; it closes, and may come back with a fresh one",
    ),
    "slow_down": Notice(
        answers.SlowDown, "This connection sends too fast, and is slowed down or about to be closed"
    ),
    "server_shutdown": Notice(
        answers.Farewell, "The server is about to stop; the connection closes, and may come back"
    ),
}
