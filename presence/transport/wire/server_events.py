"""Every event that the server sends of itself: its body, and who gets it when.

The events that answer a client's (``<event>_success``, ``<event>_error``) are declared with the
handler of that event.
"""

from __future__ import annotations

from dataclasses import dataclass

from presence.transport.wire import (
    access_responses,
    room_responses,
    server_responses,
    signal_responses,
)
from presence.transport.wire.response_fields import Answer


@dataclass(frozen=True, slots=True)
class Notice:
    """An event from the server; ``summary`` is a sentence without its full stop."""

    body: type[Answer]
    summary: str


NOTICES = {
    "peer_list_updated": Notice(
        room_responses.PeerList, "The room changed: its newest list, for every socket in it"
    ),
    "user_data_updated": Notice(
        room_responses.UserDataChanged, "A peer changed its user data, for the others in the room"
    ),
    "room_data_updated": Notice(
        room_responses.RoomDataChanged, "The room has other data, for everybody in it"
    ),
    "file_uploaded": Notice(room_responses.FileNotice, "A peer has a new file, for the room"),
    "file_deleted": Notice(room_responses.FileNotice, "A peer’s file is gone, for the room"),
    "peer_joined": Notice(
        room_responses.Changes, "Peers became active, for sockets that joined with `updates: delta`"
    ),
    "peer_updated": Notice(
        room_responses.Changes, "Peers changed, for sockets that joined with `updates: delta`"
    ),
    "peer_left": Notice(
        room_responses.Changes,
        "Peers became inactive or were erased, for sockets that joined with `updates: delta`",
    ),
    "signal": Notice(
        signal_responses.SignalReceived, "A signal from another peer, for the one it is for"
    ),
    "broadcast": Notice(
        signal_responses.BroadcastReceived,
        "An application’s message, for everybody else in the room",
    ),
    "states_changed": Notice(
        signal_responses.StatesChanged,
        "States of the moment are others, for sockets that joined with `states`",
    ),
    "broadcasts_caught_up": Notice(
        signal_responses.CaughtUp,
        "What was missed of kept broadcasts has been told, up to where it says",
    ),
    "room_changed": Notice(room_responses.RoomNotice, "A room changed, for sockets that watch it"),
    "rooms_changed": Notice(
        room_responses.Nothing, "Some room changed, for sockets that watch the list of rooms"
    ),
    "token_expired": Notice(
        access_responses.TokenEnded,
        "The token of this connection has expired; it closes, and may come back with a fresh one",
    ),
    "token_revoked": Notice(
        access_responses.TokenTakenBack,
        "The token of this connection was taken back; it closes",
    ),
    "peer_waiting": Notice(
        access_responses.PeerWaiting,
        "Somebody waits in front of the room, for those in it who may admit",
    ),
    "knocking": Notice(
        access_responses.Knocking,
        "Who waits in front of the room has changed, for those in it who may admit",
    ),
    "grants_changed": Notice(
        access_responses.GrantsChanged,
        "An admin has changed what this connection may do in its room",
    ),
    "slow_down": Notice(
        server_responses.SlowDown,
        "This connection sends too fast, and is slowed down or about to be closed",
    ),
    "server_shutdown": Notice(
        server_responses.Farewell,
        "The server is about to stop; the connection closes, and may come back",
    ),
}
