"""The names of the Socket.IO rooms by which sockets are told of a room, or of the list of rooms."""

from __future__ import annotations

# What the Socket.IO rooms of those begin with who are in a room, and of those who only watch it.
ROOM, WATCHERS = "room:", "watch:"
# The same of those who watch the list of rooms; behind it stands which rooms they may know of.
LOBBY = "lobby:"


def channel(room_name: str) -> str:
    """Return the Socket.IO room that carries what is sent to everybody in a room."""
    return ROOM + room_name
