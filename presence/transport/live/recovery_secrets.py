"""The secrets that this process gave its sockets, with which a client gets its place back."""

from __future__ import annotations

import secrets


class RecoverySecrets:
    """The secrets of this process's sockets, until they have joined something."""

    def __init__(self) -> None:
        self._by_sid: dict[str, str] = {}
        self._awaited: set[str] = set()

    def make(self, sid: str) -> str:
        """Return a new secret for a socket that connects."""
        self._by_sid[sid] = secrets.token_urlsafe(24)
        return self._by_sid[sid]

    def of(self, sid: str) -> str | None:
        """Return the secret that a socket was given, or None if it is gone."""
        return self._by_sid.get(sid)

    def await_sign_of(self, sid: str) -> None:
        """Note that a socket used a secret, and may not yet have heard of its new one."""
        self._awaited.add(sid)

    def has_sign_of(self, sid: str | None) -> bool:
        """Tell, once, that a socket which was awaited has sent something."""
        if sid in self._awaited:
            self._awaited.discard(sid)
            return True
        return False

    def forget(self, sid: str) -> None:
        """Forget a socket that is gone."""
        self._by_sid.pop(sid, None)
        self._awaited.discard(sid)
