"""A listener to broadcasts that hears them in the order in which they come."""

from __future__ import annotations

import json
from typing import Any

from tests.support.raw_socket import RawSocket


class Ear:
    """Hears a room in the order of its messages, where a stock client has a thread for each."""

    def __init__(self, server: Any, name: str, room: str = "r", **more: Any) -> None:
        self._raw = RawSocket(server)
        self.ids: list[int] = []
        self._send("join_room", room_name=room, peer_id=name, username=name, **more)

    def heard(self) -> list[int]:
        """Return the ids of the broadcasts that came so far, also those that it asks for."""
        while (text := self._raw.receive_at_once()) is not None:
            assert text, "the connection is open"
            name, body = json.loads(text[2:]) if text.startswith("42") else ("", {})
            if name == "broadcast":
                self.ids.append(body["id"])
            elif name == "broadcasts_caught_up" and body["more"]:
                self._send("sync", since_broadcast=body["last"])
        return self.ids

    def close(self) -> None:
        self._raw.close()

    def _send(self, event: str, **body: Any) -> None:
        self._raw.send("42" + json.dumps([event, body]))
