"""A room as its server shows it: the list of its peers, kept up to date by changes alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from presence_client.bodies import Body, Peer, PeerList, UserData


class Room:
    """The newest list of a room; ``peers`` is never changed in place, only replaced."""

    def __init__(self, joined: Body) -> None:
        self.name: str = joined["room_name"]
        self.peer_id: str = joined["peer_id"]
        self.version: int = joined["version"]
        self.max_peers: int = joined["max_peers"]
        self.peers: list[Peer] = joined["peers"]
        # What one may do in it; None on an open server.
        self.grants: list[str] | None = joined.get("grants")
        # The room's own data, and the version as of which it is known to be so.
        self.data: UserData = joined.get("room_data", {})
        self.data_version: int = self.version
        # Our own data as an answer told of it, which may be newer than the list; as long as nobody
        # has told, an update as of version 0 is refused with what it is.
        self._stored: tuple[int, UserData] = (0, {})

    def replace(self, listed: Body) -> bool:
        """Take a whole list, unless it is an old one; return whether it was taken."""
        if listed["version"] < self.version:
            return False
        self.version = listed["version"]
        self.peers = listed["peers"]
        self.max_peers = listed.get("max_peers", self.max_peers)
        self.take_data({"room_data": {}, **listed})
        return True

    def has_gap_before(self, changes: Body) -> bool:
        """Tell whether something is missing between the list and these changes."""
        return bool(changes["previous_version"] > self.version)

    def change(self, changes: Body) -> bool:
        """Put changed peers over the list, unless they are old; return whether they were taken.

        One announcement may come as several events with the same versions, so an equal one counts.
        """
        if changes["version"] < self.version:
            return False
        peers: dict[str, Peer] = {peer["peer_id"]: peer for peer in self.peers}
        for peer in changes["peers"]:
            if peer.get("erased"):
                peers.pop(peer["peer_id"], None)
            else:
                peers[peer["peer_id"]] = peer
        self.peers = sorted(peers.values(), key=lambda one: (one["joined_at"], one["peer_id"]))
        self.version = changes["version"]
        self.take_data(changes)
        return True

    def take_data(self, body: Body) -> None:
        """Take the room's own data if a body tells of it, unless that is old."""
        if "room_data" in body and body["version"] >= self.data_version:
            self.data, self.data_version = body["room_data"], body["version"]

    def store(self, answer: Body) -> None:
        """Note our own data, as an update's answer or refusal tells it."""
        if answer["version"] >= self._stored[0]:
            self._stored = (answer["version"], answer["user_data"])

    @property
    def own(self) -> Peer | None:
        """Our own peer in the list."""
        return next((peer for peer in self.peers if peer["peer_id"] == self.peer_id), None)

    @property
    def own_data(self) -> tuple[int, UserData]:
        """Our own data as far as it is known here, and the version as of which it is right."""
        own = self.own
        if own is None or self._stored[0] > self.version:
            return self._stored
        return self.version, own["user_data"]

    @property
    def active(self) -> list[Peer]:
        """The peers that are here now."""
        return [peer for peer in self.peers if peer["is_active"]]

    def body(self) -> PeerList:
        """Return the list as the server would tell it."""
        return {
            "room_name": self.name,
            "version": self.version,
            "active_peers": len(self.active),
            "total_peers": len(self.peers),
            "max_peers": self.max_peers,
            "peers": self.peers,
        }


def differences(before: Iterable[Peer], after: Iterable[Peer]) -> Iterable[tuple[str, Any]]:
    """Return what a list tells beside the one before: ``peer_joined``, ``_updated``, ``_left``."""
    known = {peer["peer_id"]: peer for peer in before}
    for peer in after:
        was = known.pop(peer["peer_id"], None)
        was_active = was is not None and was["is_active"]
        if peer["is_active"] and not was_active:
            yield "peer_joined", peer
        elif was_active and not peer["is_active"]:
            yield "peer_left", peer
        elif was is not None and was != peer:
            yield "peer_updated", peer
    for gone in known.values():
        if gone["is_active"]:
            yield "peer_left", gone
