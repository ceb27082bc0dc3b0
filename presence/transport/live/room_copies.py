"""A room's list in memory, and the changes that were told of it and wait to be put over it."""

from __future__ import annotations

from presence.domain.rooms.lists import Change, Known
from presence.transport.wire.room_list import RoomList

# How many changes wait at most: for the next who wants the list, and for one that is missing before
# them.
_MOST_NEXT, _MOST_AHEAD = 100, 1_000


class RoomCopy:
    """What a room showed at ``version``, made of a list and of the changes that followed on it.

    Changes come from several processes, in the order of each, so one may be there before another
    that it follows on. It waits until that comes, or until the list is read anew.
    """

    def __init__(self, view: RoomList) -> None:
        self.view = view
        self.version = view.version
        self._next: list[Change] = []
        self._ahead: list[Change] = []

    def put(self, change: Change) -> bool:
        """Take a change in; return False if this is no copy of the room any more."""
        if change.room_id != self.view.head.id:
            return False
        if change.version <= self.version:
            return True
        self._ahead.append(change)
        self._go_on()
        return len(self._ahead) <= _MOST_AHEAD

    def take_over(self, before: RoomCopy) -> None:
        """Take in the changes that waited for another copy."""
        for change in before._ahead:
            self.put(change)

    def known(self, peer_id: str) -> Known | None:
        """Return a peer as it is known to be at a version; None where it is not known at all.

        A change tells all of a peer that it touches, whatever has come between.
        """
        for change in reversed(self._ahead):
            for peer in change.peers:
                if peer.peer_id == peer_id:
                    return Known(peer, change.version)
        for change in reversed(self._next):
            for peer in change.peers:
                if peer.peer_id == peer_id:
                    return Known(peer, self.version)
        row = self.view.rows.get(peer_id)
        return Known(row, self.version) if row is not None else None

    def folded(self) -> RoomList:
        """Return the list as of `version`."""
        if self._next:
            latest = {peer.peer_id: peer for change in self._next for peer in change.peers}
            head, data = self.view.head._replace(version=self.version), None
            for change in self._next:
                if change.data is not None:
                    head, data = head._replace(data_version=change.version), change.data
            self.view = RoomList(head, list(latest.values()), self.view, data)
            self._next.clear()
        return self.view

    def _go_on(self) -> None:
        """Let every change follow that can."""
        waiting = sorted(self._ahead, key=lambda change: change.previous_version)
        self._ahead.clear()
        for change in waiting:
            if change.version <= self.version:
                continue
            if change.previous_version > self.version:
                self._ahead.append(change)
                continue
            self._next.append(change)
            self.version = change.version
        if len(self._next) > _MOST_NEXT:
            self.folded()
