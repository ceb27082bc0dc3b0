"""What a joining or updating peer is held to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a joining or updating peer is held to; bytes are of compact JSON.

    Bans count only where a peer is who it says it is.
    """

    max_peers: int
    max_user_data_bytes: int
    # 0 for any number, of both.
    max_rooms: int = 0
    max_kept_peers: int = 0
    # Whether only rooms that exist may be joined.
    only_made_rooms: bool = False
    heeds_bans: bool = False
    # Whether nothing may be added any more: no room, no peer, and no data to a peer's own.
    is_full: bool = False
