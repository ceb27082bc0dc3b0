"""Kept broadcasts as a program hears them: each once and in order, also after a lost connection."""

from __future__ import annotations

from collections.abc import Callable

from presence_client.bodies import Body


class Broadcasts:
    """Follows the numbers of a room's kept broadcasts.

    `sync` asks the server for what was said after a number. With ``wants_history`` those are wanted
    too that were kept before one came.
    """

    def __init__(self, sync: Callable[[int], None]) -> None:
        self.wants_history = False
        self._sync = sync
        # The last that was heard; None while nothing is known of any.
        self._last: int | None = None
        # Whether the server is telling what was missed. What is said meanwhile it tells again.
        self._is_behind = False

    def entered(self, joined: Body) -> None:
        """Note that this connection is in the room, maybe again after another one was."""
        newest = joined.get("last_broadcast")
        if newest is None:
            return
        self._is_behind = False
        if self._last is None:
            self._last = 0 if self.wants_history else newest
        if self._last != newest:
            self._catch_up(self._last)

    def left(self) -> None:
        """Note that it is in none, or in another one."""
        self._last = None
        self._is_behind = False

    def takes(self, body: Body) -> bool:
        """Tell whether a broadcast is to be heard."""
        number = body.get("id")
        if number is None:
            return True
        is_heard = self._last is not None and number <= self._last
        if body.get("replayed", False) != self._is_behind or is_heard:
            return False
        self._last = number
        return True

    def said(self, answer: Body) -> None:
        """Note what one has said oneself, which is not heard."""
        if "id" in answer and self._last is not None and not self._is_behind:
            self._last = max(self._last, answer["id"])

    def caught_up(self, body: Body) -> None:
        """Note that the server has told what was missed, or a part of it."""
        if not self._is_behind:
            return
        self._last = body["last"]
        if body["more"]:
            self._catch_up(body["last"])
        else:
            self._is_behind = False

    def _catch_up(self, since: int) -> None:
        self._is_behind = True
        self._sync(since)
