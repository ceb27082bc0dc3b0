"""Tokens that were taken back, as this process knows them: a copy of what the database has."""

from __future__ import annotations

from collections.abc import Callable

from presence.domain.permissions import revocations
from presence.domain.permissions.revocations import Mark, Revocations
from presence.domain.permissions.tokens import Grants
from presence.storage import database


class RevokedTokens:
    """The revocations that hold. Asking them costs no query; they are compared every second."""

    def __init__(self) -> None:
        # Called when there are others than before.
        self.listeners: list[Callable[[], None]] = []
        self._copy = Revocations()
        self._mark: Mark = None
        self._once_more = False

    def check(self, grants: Grants) -> None:
        """Raise `TokenRevoked` if a token was taken back."""
        self._copy.check(grants)

    def look(self) -> None:
        """Read the revocations anew if there is a newer one. Needs an app context."""
        with database.reading() as session:
            mark = revocations.mark(session)
            is_news = mark != self._mark
            if not is_news and not self._once_more:
                return
            found = revocations.read(session)
        self._copy, self._mark = Revocations(found), mark
        # Of two that are made at once, the one with the smaller number may be written later.
        self._once_more = is_news
        for tell in self.listeners:
            tell()
