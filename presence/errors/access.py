"""Tokens, and what they are for."""

from __future__ import annotations

import math

from presence.errors.base import PresenceError


class TokenRequired(PresenceError):
    """The server is locked, and no token was given."""

    code = "token_required"

    def __init__(self) -> None:
        super().__init__(
            "This server is locked, and no token was given. Send one: over REST as "
            "“Authorization: Bearer <token>”, over Socket.IO as auth: { token }."
        )


class TokenRefused(PresenceError):
    """A token is forged, broken, not valid yet, or signed with a key the server does not have."""

    code = "token_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The token is not good: {fault}. Get another one from whoever gave it.")


class TokenExpired(PresenceError):
    """A token was good, and its time is over."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__(
            "The token has expired. Get a fresh one, and connect or ask again with it."
        )


class IssuerUnavailable(PresenceError):
    """A token cannot be looked at now, because the keys of its issuer cannot be asked for.

    ``retry_after`` says in how many seconds they can.
    """

    code = "issuer_unavailable"
    retry_after: int

    def __init__(self, retry_after: float) -> None:
        seconds = max(1, math.ceil(retry_after))
        super().__init__(
            "The key of the token is not known here, and the keys of its issuer cannot be had at "
            f"the moment. Try again in {seconds} s.",
            retry_after=seconds,
        )


class TokenRevoked(PresenceError):
    """A token was good, and was taken back before its time."""

    code = "token_revoked"

    def __init__(self) -> None:
        super().__init__(
            "The token has been taken back. Ask whoever gave it whether there is another one."
        )


class NotGranted(PresenceError):
    """The token is good, but not for this; ``grant`` says what it would need."""

    code = "not_granted"
    grant: str

    def __init__(self, grant: str, lack: str) -> None:
        super().__init__(
            f"The token does not allow this. {lack} Ask for one that does.", grant=grant
        )


class WrongPeer(PresenceError):
    """The token is for another peer than the one that it was to act as."""

    code = "wrong_peer"
    peer_id: str

    def __init__(self, own: str, peer_id: str) -> None:
        super().__init__(
            f"The token is for peer “{own}”, who cannot act as “{peer_id}”. Use your own peer_id.",
            peer_id=own,
        )


class LinkRefused(PresenceError):
    """A file's address is not signed by this server, or was signed too long ago."""

    code = "link_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}. Ask the server for the file's address again (file_url).")


class MetricsTokenRequired(PresenceError):
    """The figures are for those who have the token of PRESENCE_METRICS_TOKEN."""

    code = "metrics_token_required"

    def __init__(self) -> None:
        super().__init__(
            "The metrics of this server need a token. Send the value of PRESENCE_METRICS_TOKEN "
            "as “Authorization: Bearer <token>”."
        )
