"""Peers that fall silent: how they joined, and when they must have been found."""

from __future__ import annotations

from typing import Any

# The promise, for a silent connection.
FOUND_WITHIN = 12.0


def joining(peer_id: str) -> dict[str, Any]:
    return {"room_name": "r", "peer_id": peer_id, "username": peer_id.title()}
