"""What this worker knows of sockets that other workers hold, in the rooms of its own sockets.

Taken from the lists that it announces and from the database, and good until a room changes: so a
signal to another worker costs no query, and one to a peer whose newest socket is elsewhere goes
there though an older one is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from presence.transport.live.switchboard import Seat
from presence.transport.wire.room_list import RoomList


class _Found(NamedTuple):
    version: int
    sids: list[str]


class RemoteSockets:
    """The sessions of peers as of the newest list, and their sockets where somebody asked.

    `announced` tells the version of a room that was announced last.
    """

    def __init__(self, announced: Callable[[str], int]) -> None:
        self._announced = announced
        self._sessions: dict[str, dict[str, int]] = {}
        self._sockets: dict[Seat, _Found] = {}

    def note(self, view: RoomList) -> None:
        """Take in a room's list."""
        self._sessions[view.name] = view.active

    def sessions(self, seat: Seat) -> int:
        """Return how many sessions a peer has altogether, as far as this worker has heard."""
        return self._sessions.get(seat.room_name, {}).get(seat.peer_id, 0)

    def version(self, seat: Seat) -> int:
        """Return the version of a peer's room that was announced last."""
        return self._announced(seat.room_name)

    def found(self, seat: Seat, version: int, sids: list[str]) -> None:
        """Note which sockets a peer has, the newest last, when the room was at least at `version`.

        To be read from the database after that version was.
        """
        self._sockets[seat] = _Found(version, sids)

    def sockets(self, seat: Seat) -> list[str]:
        """Return the sockets of a peer, the newest last; none where that is not known for sure."""
        found = self._sockets.get(seat)
        if found is None:
            return []
        if found.version != self._announced(seat.room_name):
            del self._sockets[seat]
            return []
        return found.sids

    def keep(self, room_names: set[str]) -> None:
        """Forget every room but these."""
        for name in self._sessions.keys() - room_names:
            self._sessions.pop(name, None)
        for seat in [seat for seat in list(self._sockets) if seat.room_name not in room_names]:
            self._sockets.pop(seat, None)
