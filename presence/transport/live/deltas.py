"""What changed in a room from one announcement to the next, for clients that ask for changes only.

A change carries the whole peer as it is now, so applying one twice, or one that overlaps with what
a client has, does no harm. That makes the client's rule short: a change whose `previous_version` is
above its own version shows a gap (it asks to `sync`); one whose `version` is below its own is old;
any other is applied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from presence.transport.wire.room_list import RoomList, own_data, peer_list
from presence.transport.wire.serializers import Body


@dataclass(slots=True)
class Change:
    """What one announcement tells: events by name, with the peers each is about.

    With ``data`` the room's own is told, too.
    """

    previous_version: int
    version: int
    events: dict[str, list[Any]] = field(default_factory=dict)
    data: bool = False


class History:
    """What the sockets of a room were last told of each peer, and when that changed."""

    def __init__(self, view: RoomList) -> None:
        self._began = self.version = view.version
        # The version of the last change that there was anything to tell of: who joined and was
        # erased within one window leaves none, and must leave no gap either.
        self._told = view.version
        self._shown = view
        self._changed_at: dict[str, int] = {}

    def advance(self, view: RoomList) -> Change:
        """Take in what the room shows now, and return what is different."""
        before = self._shown
        change = Change(self._told, view.version)
        # As bytes, because Python takes 1 and True for equal.
        for peer_id, body in view.peers.items():
            if before.peers.get(peer_id) == body:
                continue
            if (peer_id in view.active) != (peer_id in before.active):
                event = "peer_joined" if peer_id in view.active else "peer_left"
            else:
                # Somebody new who has left again within one window, too.
                event = "peer_updated"
            change.events.setdefault(event, []).append(orjson.Fragment(body))
            self._changed_at[peer_id] = view.version
        for peer_id in before.peers.keys() - view.peers.keys():
            change.events.setdefault("peer_left", []).append(_erased(peer_id))
            self._changed_at[peer_id] = view.version
        if view.data != before.data:
            change.data = True
            if not change.events:
                change.events["peer_updated"] = []
        self._shown, self.version = view, view.version
        if change.events:
            self._told = view.version
        return change

    def since(self, version: int) -> list[Any] | None:
        """Return the peers that changed after a version, or None if that is not known exactly."""
        if not self._began <= version <= self.version:
            return None
        return [
            orjson.Fragment(self._shown.peers[peer_id])
            if peer_id in self._shown.peers
            else _erased(peer_id)
            for peer_id, changed_at in self._changed_at.items()
            if changed_at > version
        ]


def _erased(peer_id: str) -> Body:
    return {"peer_id": peer_id, "erased": True, "reason": "erased"}


def bodies(change: Change, view: RoomList) -> dict[str, Body]:
    """Return the events that tell a change, by name, with their bodies."""
    return {
        event: {
            "room_name": view.name,
            "active_peers": view.active_peers,
            "total_peers": view.total_peers,
            "previous_version": change.previous_version,
            "version": change.version,
            "peers": peers,
            **(own_data(view) if change.data else {}),
        }
        for event, peers in change.events.items()
    }


def synced(view: RoomList, since: int, changed: list[Any] | None) -> Body:
    """Return the answer to ``sync``: what `changed`, or everything, marked ``full``."""
    whole = peer_list(view)
    if changed is None:
        return {**whole, "full": True}
    return {**whole, "full": False, "previous_version": since, "peers": changed}
