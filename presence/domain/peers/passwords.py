"""Rooms that ask for a password: when they do, and of whom.

Checking one takes as long as it takes on purpose, so it is not done in a transaction. Whoever finds
that a room asks for one goes back with its hash (`Unchecked`), and comes again with that hash as
what was passed: it counts only while the room still has the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from presence.domain.peers.looks import Seen
from presence.domain.peers.sessions import Ended

# Passed by those of whom no password is asked.
UNASKED = "*"


class Unchecked(Exception):
    """A room's password is to be checked first; nothing has been done."""

    def __init__(self, room_name: str, password_hash: str) -> None:
        super().__init__(room_name)
        self.room_name = room_name
        self.password_hash = password_hash


def ask(room_name: str, password_hash: str | None, passed: str | None) -> None:
    """Raise `Unchecked` unless a room has no password, or the one that was passed."""
    if password_hash is not None and passed not in (password_hash, UNASKED):
        raise Unchecked(room_name, password_hash)


def check(seen: Seen, previous: Iterable[Ended], passed: str | None, *, is_proven: bool) -> None:
    """Raise `Unchecked` if a room asks somebody who joins for its password.

    Not a socket that is in the room, by `previous`; nor a peer that is, where it `is_proven` that
    whoever joins is that peer.
    """
    name = seen.room.name
    if any(item.room_name == name for item in previous):
        return
    if is_proven and seen.peer is not None and seen.peer.session_count > 0:
        return
    ask(name, seen.password_hash, passed)
