"""The one error that every call may raise, and which conditions pass by themselves."""

from __future__ import annotations

from typing import Any

# A token that was good once is not any more: a function may know the next one.
TOKEN_ENDED = frozenset({"token_expired", "token_revoked"})

# A refusal of these kinds passes, so what was refused is tried again while somebody waits for it.
PASSING = frozenset(
    {
        "connection_lost",
        "internal_error",
        "issuer_unavailable",
        "maintenance",
        "room_full",
        "server_full",
        "shutting_down",
        "storage_unavailable",
        "timeout",
        "too_many_connects",
        "too_many_requests",
        "too_many_sockets",
        "unreachable",
    }
)


class PresenceError(Exception):
    """A condition that the server, the network or the client itself reports.

    ``code`` is for programs, ``detail`` for people, ``body`` the server's whole answer.
    """

    def __init__(self, code: str, detail: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.body = body or {}

    def __reduce__(self) -> tuple[type[PresenceError], tuple[str, str, dict[str, Any]]]:
        """Let it cross the border of a process."""
        return type(self), (self.code, self.detail, self.body)

    @property
    def passes(self) -> bool:
        """Whether the same may succeed a little later, without anybody doing anything."""
        return self.code in PASSING

    @property
    def retry_after(self) -> float:
        """For how many seconds the server asks to wait; 0 where it says nothing."""
        wait = self.body.get("retry_after")
        return float(wait) if isinstance(wait, (int, float)) else 0.0

    @classmethod
    def of(cls, body: dict[str, Any]) -> PresenceError:
        """Return the error that a body from the server tells of."""
        return cls(str(body["code"]), str(body.get("detail", body["code"])), body)


def closed() -> PresenceError:
    """Return the error of a call on a client that was closed."""
    return PresenceError("closed", "The client is closed. Make a new one.")


def not_joined() -> PresenceError:
    """Return the error of a call that needs a room."""
    return PresenceError("not_joined", "The client is in no room. Call join() first.")


def unreachable(url: str, why: object = "") -> PresenceError:
    """Return the error for a server that does not answer."""
    reason = f" ({why})" if str(why) else ""
    return PresenceError(
        "unreachable",
        f"No Presence server answers at {url}{reason}. Check the address and the network, "
        "then try again.",
    )


def token_failed(why: str) -> PresenceError:
    """Return the error for a function that gives no token."""
    return PresenceError("token_failed", f"No token could be had: {why}.")


def unanswered(event: str) -> PresenceError:
    """Return the error for a server that is there, but left an event unanswered."""
    return PresenceError("timeout", f"The server did not answer {event} in time. Try again.")


def connection_lost(event: str) -> PresenceError:
    """Return the error of an event of which nobody knows whether it arrived."""
    return PresenceError(
        "connection_lost",
        f"The connection was lost before {event} was answered; it may have arrived or not.",
    )
