"""The names of the Socket.IO rooms by which sockets are told of a room, or of the list of rooms.

And in which way each wants to be told of the room that it is in.
"""

from __future__ import annotations

from collections.abc import Iterable

# What the Socket.IO rooms of those begin with who are in a room, and of those who only watch it.
ROOM, WATCHERS = "room:", "watch:"
# The same of those who watch the list of rooms; behind it stands which rooms they may know of.
LOBBY = "lobby:"


def channel(room_name: str) -> str:
    """Return the Socket.IO room that carries what is sent to everybody in a room."""
    return ROOM + room_name


# What tells only of data that the next list, or change, has too: a socket may do without.
_DATA_NOTICES = {"user_data_updated", "room_data_updated"}


class Ways:
    """In which way the sockets of this process want to be told of their rooms."""

    def __init__(self) -> None:
        self._by_deltas: set[str] = set()
        self._without_data_notices: set[str] = set()

    def note(self, sid: str, *, deltas: bool, data_notices: bool) -> None:
        """Note whether a socket gets changes instead of lists, and notices of data beside them."""
        self.forget(sid)
        if deltas:
            self._by_deltas.add(sid)
        if not data_notices:
            self._without_data_notices.add(sid)

    def forget(self, sid: str) -> None:
        """Note that a socket is told of nothing any more."""
        self._by_deltas.discard(sid)
        self._without_data_notices.discard(sid)

    def by_deltas(self, sid: str) -> bool:
        """Tell whether a socket gets changes instead of lists."""
        return sid in self._by_deltas

    def deaf_to(self, event: str, sids: Iterable[str]) -> set[str]:
        """Return which of these sockets do without a notice."""
        if event not in _DATA_NOTICES:
            return set()
        return self._without_data_notices.intersection(sids)
