"""What a room shows at one version, encoded once, and the bodies that carry it."""

from __future__ import annotations

from functools import cached_property

import orjson

from presence.domain.rooms.lists import Head, ListedPeer
from presence.transport.wire.serializers import Body, listed_peer, timestamp_of_text


class RoomList:
    """What a room shows at one version; never changed, for the next version is another one.

    ``peers`` are JSON by peer_id, in the list's order; ``rows`` are the same as they were read;
    ``active`` says how many sessions each has of those that are active, ``granted`` what
    each may do of those whose rights an admin has changed. ``data`` is the room's own as JSON, None
    where it never had any.
    """

    def __init__(
        self,
        head: Head,
        peers: list[ListedPeer],
        base: RoomList | None = None,
        data: str | None = None,
    ) -> None:
        self.head = head
        self.data: str | None = base.data if base is not None and data is None else data
        self.peers: dict[str, bytes] = dict(base.peers) if base else {}
        self.active: dict[str, int] = dict(base.active) if base else {}
        self.granted: dict[str, str] = dict(base.granted) if base else {}
        self.size: int = base.size if base else 0
        self.size += len(self.data or "") - len((base.data if base else None) or "")
        self.rows: dict[str, ListedPeer] = dict(base.rows) if base else {}
        newest = next(reversed(self.rows.values()), None)
        last = _place(newest) if newest else ("", "")
        in_order = True
        for peer in peers:
            before = self.rows.get(peer.peer_id)
            if before is None:
                in_order = in_order and last < _place(peer)
                last = _place(peer)
            elif before.joined_at != peer.joined_at:
                in_order = False
            self._put(peer)
        if not in_order:
            self.rows = {peer.peer_id: peer for peer in sorted(self.rows.values(), key=_place)}
            self.peers = {peer_id: self.peers[peer_id] for peer_id in self.rows}

    @property
    def name(self) -> str:
        """The room's name."""
        return self.head.name

    @property
    def version(self) -> int:
        """The version at which the room shows this."""
        return self.head.version

    @property
    def active_peers(self) -> int:
        """How many peers are active: the number that capacity counts."""
        return len(self.active)

    @property
    def total_peers(self) -> int:
        """How many peers are or were there."""
        return len(self.peers)

    @cached_property
    def encoded(self) -> orjson.Fragment:
        """All peers as JSON, to be put into a body as it is."""
        return orjson.Fragment(b"[%b]" % b",".join(self.peers.values()))

    def can_become(self, head: Head) -> bool:
        """Tell whether this is an earlier state of the room, by itself enough to go on from."""
        mine = self.head
        return (mine.id, mine.created_at) == (head.id, head.created_at) and (
            mine.version <= head.version
        )

    def _put(self, peer: ListedPeer) -> None:
        body = orjson.dumps(listed_peer(peer))
        self.size += len(body) - len(self.peers.get(peer.peer_id, b""))
        self.peers[peer.peer_id] = body
        self.rows[peer.peer_id] = peer
        if peer.session_count > 0:
            self.active[peer.peer_id] = peer.session_count
        else:
            self.active.pop(peer.peer_id, None)
        if peer.grants is not None:
            self.granted[peer.peer_id] = peer.grants
        else:
            self.granted.pop(peer.peer_id, None)


def _place(peer: ListedPeer) -> tuple[str, str]:
    """Return what lists are ordered by."""
    return peer.joined_at, peer.peer_id


def room(shown: RoomList) -> Body:
    """Return a room with its peers."""
    return {
        "name": shown.name,
        "active_peer_count": shown.active_peers,
        "total_peer_count": shown.total_peers,
        "max_peers": shown.head.max_peers,
        "created_at": timestamp_of_text(shown.head.created_at),
        "version": shown.version,
        "peers": shown.encoded,
        **own_data(shown),
    }


def own_data(shown: RoomList) -> Body:
    """Return what a list says of the room's own data: nothing where it never had any."""
    return {} if shown.data is None else {"room_data": orjson.Fragment(shown.data)}


def totals(shown: RoomList) -> Body:
    """Return what a list says beside its peers."""
    return {
        "room_name": shown.name,
        "active_peers": shown.active_peers,
        "total_peers": shown.total_peers,
        "max_peers": shown.head.max_peers,
        "version": shown.version,
    }


def peer_list(shown: RoomList) -> Body:
    """Return the body of ``peer_list_updated``."""
    return {
        **totals(shown),
        "peers": shown.encoded,
        **own_data(shown),
    }


def joined(shown: RoomList, peer_id: str) -> Body:
    """Return the body of ``join_room_success``."""
    return {**peer_list(shown), "peer_id": peer_id}
