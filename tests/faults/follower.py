"""A client that keeps its list of a room from changes alone, by the rule in docs/protocol.md."""

from __future__ import annotations

import json
from typing import Any

from local_cluster.live_server import LiveServer
from tests.support.raw_socket import RawSocket

CHANGES = ("peer_joined", "peer_updated", "peer_left")


class DeltaList:
    """A list of a room's peers, begun from a whole one and kept from changes."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.gaps = 0
        self.replace(whole)

    def replace(self, whole: dict[str, Any]) -> None:
        """Begin again from a whole list."""
        self.version = whole["version"]
        self.peers = {peer["peer_id"]: peer for peer in whole["peers"]}
        self.data: dict[str, Any] = whole.get("room_data", {})

    def apply(self, change: dict[str, Any]) -> bool:
        """Take in a change; return False where it shows that something before it is missing."""
        if change["previous_version"] > self.version:
            self.gaps += 1
            return False
        if change["version"] >= self.version:
            for peer in change["peers"]:
                if peer.get("erased"):
                    self.peers.pop(peer["peer_id"], None)
                else:
                    self.peers[peer["peer_id"]] = peer
            self.version = change["version"]
            self.data = change.get("room_data", self.data)
        return True

    def sorted(self) -> list[dict[str, Any]]:
        """Return the peers in the order of the server's lists."""
        return sorted(self.peers.values(), key=lambda peer: (peer["joined_at"], peer["peer_id"]))


class Follower:
    """A peer of a room that asked for changes instead of lists, and syncs when it finds a gap.

    It reads what it has received when the test says so, and can be made to lose messages.
    """

    def __init__(self, server: LiveServer, room: str, name: str) -> None:
        self.server, self.room, self.name = server, room, name
        self.list = DeltaList({"version": -1, "peers": []})
        self.unread: list[tuple[str, Any]] = []
        # The kept broadcasts that it has heard, and up to which id it has heard all.
        self.heard: list[int] = []
        self.last: int | None = None
        self._is_behind = False
        self._syncing = False
        self._connect(None)
        self._send(
            "join_room",
            {"room_name": room, "peer_id": name, "username": name, "updates": "delta"},
        )
        self._receive_list()

    def come_back(self) -> None:
        """Connect again after the connection was lost, without joining: the secret does it."""
        self.unread.clear()
        self._syncing = False
        self._connect(self._raw.connected["pid"])
        self._receive_list()

    def receive(self) -> None:
        """Take in what has come so far, without reading it yet."""
        while (text := self._raw.receive_at_once()) is not None:
            self._take(text)

    def read(self, count: int | None = None) -> None:
        """Read the oldest `count` of the messages that were received, or all."""
        for name, body in self.unread[:count]:
            if name in CHANGES:
                self._change(body)
            elif name in ("broadcast", "broadcasts_caught_up"):
                self._hear(name, body)
            elif name == "join_room_success" or (name == "sync_success" and body.get("full")):
                self.list.replace(body)
            elif name == "sync_success" and "peers" in body:
                self.list.apply(body)
            if name == "join_room_success" and "last_broadcast" in body:
                self._compare(body["last_broadcast"])
            self._syncing &= name != "sync_success"
        del self.unread[:count]

    def lose(self) -> None:
        """Lose the oldest announcement that was received and is not read yet, all events of it."""
        changes = [body for name, body in self.unread if name in CHANGES]
        if changes:
            lost = changes[0]["version"]
            self.unread = [
                (name, body)
                for name, body in self.unread
                if name not in CHANGES or body["version"] != lost
            ]

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _connect(self, pid: str | None) -> None:
        self._raw = RawSocket(self.server, auth={"pid": pid} if pid else None)

    def _send(self, event: str, body: dict[str, Any]) -> None:
        self._raw.send("42" + json.dumps([event, body]))

    def _receive_list(self) -> None:
        while not self.unread or self.unread[-1][0] != "join_room_success":
            self._take(self._raw.receive())
        self.read()

    def _take(self, text: str) -> None:
        assert text, "the connection is open"
        if text.startswith("42"):
            name, body = json.loads(text[2:])
            self.unread.append((name, body))

    def _compare(self, newest: int) -> None:
        """Ask for what was said while it was away."""
        self._is_behind = self.last not in (None, newest)
        if self.last is None:
            self.last = newest
        elif self._is_behind:
            self._send("sync", {"since_broadcast": self.last})

    def _hear(self, name: str, body: dict[str, Any]) -> None:
        assert self.last is not None
        if name == "broadcasts_caught_up":
            assert body["complete"], "so few are all kept"
            self.last = body["last"]
            self._is_behind = body["more"]
            if body["more"]:
                self._send("sync", {"since_broadcast": self.last})
        elif body.get("replayed", False) == self._is_behind:
            self.heard.append(body["id"])
            self.last = body["id"]

    def _change(self, body: dict[str, Any]) -> None:
        if not self.list.apply(body) and not self._syncing:
            self._syncing = True
            self._send("sync", {"since": self.list.version})
