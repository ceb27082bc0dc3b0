"""The keys of the locked servers of these tests, and tokens signed with them."""

from __future__ import annotations

import time
from typing import Any

from presence.domain.permissions import tokens
from presence.domain.permissions.tokens import KeyRing

KEY = "the key of the tests, which has more than 32 bytes"
NEWER = "a newer key of the tests of more than 32 bytes too"
KEYS = KeyRing(KEY, {"b": NEWER}, None)
EVERYTHING = ("join", "update", "upload", "signal", "list")

LOCKED: dict[str, Any] = {
    "PRESENCE_MODE": "locked",
    "SECRET_KEY": KEY,
    "PRESENCE_TOKEN_KEYS": f"b:{NEWER}",
    "PRESENCE_ALLOWED_ORIGINS": "https://app.example.org",
    "PRESENCE_ALLOWED_HOSTS": "127.0.0.1,presence.example.org",
    # Hundreds of calls and connections come from one address here.
    "PRESENCE_REQUESTS_PER_MINUTE": "0",
    "PRESENCE_CONNECTS_PER_MINUTE": "0",
    "PRESENCE_UPLOADS_PER_MINUTE": "0",
    "PRESENCE_FAILED_TOKENS_PER_MINUTE": "0",
}


def token(
    peer_id: str, room: str, grants: Any = EVERYTHING, ttl: float = 600, kid: str | None = None
) -> str:
    """Return a token of the tests' server."""
    grants = [grants] if isinstance(grants, str) else grants
    return tokens.mint(KEYS, peer_id, room, grants, expires_at=int(time.time() + ttl), kid=kid)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
