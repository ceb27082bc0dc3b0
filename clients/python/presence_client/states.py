"""States of the moment: one's own, and those of the other connections in the room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from presence_client.bodies import Body, ConnectionState


class States:
    """Keeps states. `send` tells the server one's own; `changed` is called when others' differ."""

    def __init__(
        self, send: Callable[[Body], None], changed: Callable[[list[ConnectionState]], None]
    ) -> None:
        self.own: dict[str, Any] | None = None
        self._send = send
        self._changed = changed
        self._others: dict[str, ConnectionState] = {}

    @property
    def others(self) -> list[ConnectionState]:
        """Those of others, as the server told them last."""
        return list(self._others.values())

    def entered(self) -> None:
        """Note that this connection is in the room: the server knows nothing of ours any more."""
        self._forget()
        if self.own is not None:
            self._send({"state": self.own})

    def left(self) -> None:
        """Note that it is in none."""
        self.own = None
        self._forget()

    def take(self, body: Body, session: str | None) -> None:
        """Take what the server tells, but for our own, of the connection `session`."""
        for one in body["states"]:
            if one["state"] is None:
                self._others.pop(one["session"], None)
            elif one["session"] != session:
                self._others[one["session"]] = one
        self._changed(self.others)

    def _forget(self) -> None:
        if self._others:
            self._others.clear()
            self._changed([])
