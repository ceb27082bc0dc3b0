"""The ICE servers that clients are told of, and the TURN credentials that open them for a while.

The credentials follow the TURN REST convention (draft-uberti-behave-turn-rest-00, section 2.2):
the user name is the Unix time at which they end, a colon and a name; the password is the HMAC-SHA1
of that user name under a secret which only this server and the TURN server know, in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The user name of a STUN message has fewer than 513 bytes (RFC 5389, section 15.3).
_MAX_USERNAME_BYTES = 508


@dataclass(frozen=True, slots=True)
class IceServers:
    """STUN and TURN servers, the secret shared with the latter, and how many seconds it opens."""

    stun_urls: Sequence[str]
    turn_urls: Sequence[str]
    turn_secret: str
    ttl: int

    def configuration(self, peer_id: str, now: float) -> list[dict[str, Any]]:
        """Return the ``iceServers`` of an RTCConfiguration for a peer (W3C WebRTC, section 4.2.1).

        `now` is the Unix time in seconds from which the credentials are good.
        """
        servers: list[dict[str, Any]] = []
        if self.stun_urls:
            servers.append({"urls": list(self.stun_urls)})
        if self.turn_urls:
            username, credential = turn_credentials(self.turn_secret, peer_id, int(now) + self.ttl)
            servers.append(
                {"urls": list(self.turn_urls), "username": username, "credential": credential}
            )
        return servers


def turn_credentials(secret: str, peer_id: str, expires_at: int) -> tuple[str, str]:
    """Return (username, credential) which a TURN server takes until the Unix time `expires_at`.

    A peer id that would make the user name longer than STUN allows is shortened; it is there to
    tell peers apart in the TURN server's log only.
    """
    name = f"{expires_at}:{peer_id}".encode()[:_MAX_USERNAME_BYTES].decode(errors="ignore")
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()
    return name, base64.b64encode(digest).decode()
