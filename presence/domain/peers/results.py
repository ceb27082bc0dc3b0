"""What came of joining, leaving, changing and erasing, for whoever tells others of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from presence.domain.rooms.erasure import NOBODY, ErasedPeers
from presence.domain.rooms.lists import Change


@dataclass(frozen=True, slots=True)
class Left:
    """A peer's leaving; ``sids`` are the sockets that stood for it, ``is_active`` if others do.

    ``change`` is what to put over the list of before, here and below; None where it is to be read.
    """

    room_name: str
    peer_id: str
    version: int
    is_active: bool
    sids: tuple[str, ...] = ()
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """A peer's joining; ``left`` is what the same socket left by it, if anything.

    ``is_news`` is false where nobody needs to hear of it: the peer was away for less than the
    grace. ``replaced_sid`` is the lost socket whose place was taken. ``erased`` are peers that had
    to go for a new one; the caller removes the bytes of their files. ``grants`` are what an
    admin lets the peer do, if that is another thing than its token says.
    """

    room_name: str
    peer_id: str
    username: str
    version: int
    left: Left | None
    is_news: bool = True
    replaced_sid: str | None = None
    erased: ErasedPeers = NOBODY
    change: Change | None = None
    grants: str | None = None

    @property
    def known_version(self) -> int | None:
        """The version as of which whoever has noted the change knows the room, if it is known."""
        return self.version if self.change is not None else None


@dataclass(frozen=True, slots=True)
class Updated:
    """A peer's changed user data; ``changed`` names the keys that differ from before."""

    room_name: str
    peer_id: str
    username: str
    user_data: dict[str, Any]
    changed: list[str]
    version: int
    at: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class Erased:
    """An erased peer: the sockets that stood for it and the files it owned."""

    room_name: str
    peer_id: str
    version: int
    sids: tuple[str, ...]
    stored_names: tuple[str, ...]
